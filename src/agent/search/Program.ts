/** Runs a program of the image for the agent itself, with little output and a time limit. */
import { Socket } from "node:net"
import * as Kernel from "../Kernel.ts"
import { defaultPath } from "../commands/Paths.ts"
import type { Processes } from "../commands/Processes.ts"

/** Above the numbers of the node's commands. */
let lastNumber = 2 ** 48

export interface ProgramOptions {
  readonly path: string
  readonly argv: ReadonlyArray<string>
  readonly cwd: string
  /** In milliseconds; the program is killed then. */
  readonly limit: number
  /** Takes a piece of the output; `false` ends the program. */
  readonly output: (chunk: Buffer) => boolean
}

/** How it ended: by itself with a code, `stopped` by its reader, or `late`; with the beginning of what it complained of. */
export interface ProgramEnd {
  readonly code: number | null
  readonly how: "ended" | "stopped" | "late"
  readonly complaint: string
}

export const run = async (processes: Processes, options: ProgramOptions): Promise<ProgramEnd> => {
  const number = ++lastNumber
  const out = Kernel.pipe()
  const error = pipeOrClose([out.read, out.write])
  let exit: (code: number | null) => void = () => {}
  const exited = new Promise<number | null>((resolve) => (exit = resolve))
  const pid = processes.spawn(
    number,
    {
      path: options.path,
      argv: options.argv,
      cwd: options.cwd,
      env: ["LANG=C.UTF-8", `PATH=${defaultPath}`],
      stdio: ["/dev/null", out.write, error.write],
    },
    ({ code }) => exit(code),
  )
  Kernel.close(out.write)
  Kernel.close(error.write)
  let how: ProgramEnd["how"] = "ended"
  const kill = (why: ProgramEnd["how"]) => {
    if (how !== "ended") return
    how = why
    void processes.kill(number)
  }
  let complaint = ""
  const streams = [
    follow(out.read, (chunk) => {
      if (how === "ended" && !options.output(chunk)) kill("stopped")
    }),
    follow(error.read, (chunk) => {
      complaint = (complaint + chunk.toString()).slice(0, 1000)
    }),
  ]
  if (pid < 0) exit(127)
  const timer = setTimeout(() => kill("late"), options.limit)
  const code = await exited
  clearTimeout(timer)
  // What it left running may hold them open.
  const rest = setTimeout(() => streams.forEach((stream) => stream.destroy()), drainMs)
  await Promise.all(streams.map(closing))
  clearTimeout(rest)
  return { code, how, complaint }
}

/** A second pipe; where there is none, the first one's ends are closed. */
const pipeOrClose = (descriptors: ReadonlyArray<number>) => {
  try {
    return Kernel.pipe()
  } catch (error) {
    for (const descriptor of descriptors) Kernel.close(descriptor)
    throw error
  }
}

/** Time to read what is left once it has ended, in milliseconds. */
const drainMs = 1000

const follow = (descriptor: number, data: (chunk: Buffer) => void) =>
  new Socket({ fd: descriptor, readable: true, writable: false }).on("data", data).on("error", () => {})

const closing = (stream: Socket) =>
  stream.closed ? Promise.resolve() : new Promise<void>((resolve) => stream.once("close", () => resolve()))
