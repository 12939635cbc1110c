/**
 * The commands of the sandbox. A command ends when its main process exits, plus a moment for its pipes to drain, and
 * not when they close: what it left running keeps them, and is read to nowhere from then on.
 */
import { ReadStream } from "node:tty"
import type { Channels } from "../Channels.ts"
import * as Kernel from "../Kernel.ts"
import type { Resize, Start, ToNode } from "../Protocol.ts"
import { type Input, pipeInput, terminalInput } from "./Input.ts"
import { Output } from "./Output.ts"
import { defaultPath, find, isFolder } from "./Paths.ts"
import { PipeReader } from "./PipeReader.ts"
import { type Processes, signalName } from "./Processes.ts"
import { Spill } from "./Spill.ts"
import { openStdio, type Stdio } from "./Stdio.ts"
import { limitsMet, type Usage, usage } from "./Usage.ts"

/** Time for pipes that something still holds open to fall silent, in milliseconds. */
const drainMs = 100

export class Commands {
  private readonly processes: Processes
  private readonly terminals = new Map<number, number>()
  /** Those that wait for room. */
  private readonly starting = new Set<number>()
  private readonly channels: Channels
  private readonly tell: (message: ToNode) => void
  private readonly still: () => string | null
  /** The environment of every command. */
  env: Readonly<Record<string, string>> = {}

  /** `still` names the moment since which no file has changed, where that is known. */
  constructor(
    channels: Channels,
    processes: Processes,
    tell: (message: ToNode) => void,
    still: () => string | null,
  ) {
    this.processes = processes
    this.channels = channels
    this.tell = tell
    this.still = still
  }

  /** A new command comes before what ended ones left running: of that the largest goes where there is no room. */
  async start(message: Start) {
    const { command } = message
    let problem = this.spawn(message)
    if (problem === full) {
      this.starting.add(command)
      const hasRoom = await this.processes.killLargest()
      // It was killed meanwhile.
      if (!this.starting.delete(command)) return
      if (hasRoom) problem = this.spawn(message)
    }
    if (problem !== undefined) this.tell({ type: "notStarted", command, reason: problem })
  }

  signal(command: number, signal: string) {
    this.processes.signal(command, signal)
  }

  kill(command: number) {
    this.starting.delete(command)
    return this.processes.kill(command)
  }

  resize({ command, columns, rows }: Resize) {
    const terminal = this.terminals.get(command)
    if (terminal !== undefined) Kernel.resizeTerminal(terminal, columns, rows)
  }

  /** Starts the program, or says why not. */
  private spawn(message: Start) {
    const { command, argv, cwd } = message
    const env = { ...this.env, ...message.env }
    if (!isFolder(cwd)) return `there is no folder ${cwd}`
    const path = find(argv[0] ?? "", cwd, env["PATH"] ?? defaultPath)
    if (path === undefined) return `there is no program ${argv[0]}`
    const before = usage()
    const stdio = openStdio(message)
    if (stdio === undefined) return manyOpen
    const program: Kernel.Program = {
      path,
      argv,
      cwd,
      env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
      stdio: stdio.child,
    }
    let ended: (child: Kernel.Reaped) => void = () => {}
    const exit = (child: Kernel.Reaped) => ended(child)
    let pid = this.processes.spawn(command, program, exit)
    if (pid === -ENOEXEC) {
      const script = { ...program, path: "/bin/sh", argv: ["/bin/sh", path, ...argv.slice(1)] }
      pid = this.processes.spawn(command, script, exit)
    }
    for (const descriptor of stdio.close) Kernel.close(descriptor)
    if (pid < 0) {
      for (const descriptor of stdio.keep) Kernel.close(descriptor)
      return reasons[-pid] ?? `the system refuses it with error ${-pid}`
    }
    const outputs = this.follow(message, stdio)
    ended = (child) => void this.end(command, child, outputs, before)
    return undefined
  }

  private async end(command: number, child: Kernel.Reaped, outputs: ReadonlyArray<Output>, before: Usage) {
    // What has ended with its command, as most has, is told in one write with its end.
    const open = outputs.filter((output) => !output.settle())
    if (open.length > 0) await Promise.all(open.map((output) => output.drained(drainMs)))
    const limits = limitsMet(before)
    // What forks without end would leave no room for anything else.
    if (limits.includes("pids")) await this.processes.kill(command)
    this.terminals.delete(command)
    this.tell({
      type: "ended",
      command,
      code: child.code,
      signal: child.signal === null ? null : signalName(child.signal),
      cpuMs: child.cpuMs,
      // What a process has from the moment of its birth is this process's own.
      peakMemory: child.peakMemory > ownPeak() ? child.peakMemory : null,
      limits,
      spilled: { stdout: outputs[0]?.spilled ?? null, stderr: outputs[1]?.spilled ?? null },
      still: this.still(),
    })
  }

  /** Opens the command's channels and carries its input and output. */
  private follow(message: Start, stdio: Stdio): ReadonlyArray<Output> {
    const { command, keep } = message
    const open = (id: number, name: string, input?: Input) => {
      const output = new Output(new Spill(`${command}.${name}`, keep))
      output.channel = this.channels.open(id, {
        data: (chunk) => {
          if (input === undefined) output.channel?.consume(chunk.length)
          else input.write(chunk, () => output.channel?.consume(chunk.length))
        },
        end: () => input?.end(),
        drain: () => output.resume(),
      })
      return output
    }
    if (stdio.terminal !== undefined) {
      this.terminals.set(command, stdio.terminal)
      const source = new ReadStream(stdio.terminal)
      source.on("close", () => this.terminals.delete(command))
      const { terminal } = stdio
      const input = terminalInput(terminal, source)
      const shown = open(message.stdout, "stdout", input)
      shown.source = source
      source.on("data", (chunk) => shown.push(chunk))
      source.on("end", () => shown.readToEnd(terminal))
      // A terminal whose other side is closed reads as an error, which comes before `close`.
      source.on("error", () => {})
      source.on("close", () => shown.close())
      const none = open(message.stderr, "stderr")
      none.close()
      return [shown, none]
    }
    const { stdin, stdout, stderr } = stdio
    const input = stdin === undefined ? undefined : pipeInput(stdin)
    const out = open(message.stdout, "stdout", input)
    const error = open(message.stderr, "stderr")
    out.source = new PipeReader(stdout, out)
    error.source = new PipeReader(stderr, error)
    return [out, error]
  }
}

const ownPeak = () => process.resourceUsage().maxRSS * 1024

const ENOEXEC = 8

const full = "the sandbox runs as many processes as it may (SANDBOX_PIDS)"

const manyOpen = "the sandbox's agent has too many files open (SANDBOX_OPEN_FILES)"

const tooLong = "its arguments and environment are too long"

const reasons: Readonly<Record<number, string>> = {
  2: "its interpreter is missing",
  7: tooLong,
  11: full,
  12: "the sandbox has no memory left for it",
  24: manyOpen,
  13: "it may not be executed; look at its permissions",
  // What gVisor answers to one argument that is too long.
  36: tooLong,
}
