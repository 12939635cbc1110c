/**
 * The processes of the sandbox. Every command has a mark that all its processes inherit, daemons too, whatever they
 * do to their parents, sessions and environment: the soft value of a resource limit that limits nothing here.
 * Nothing else is as simple and as hard to lose; a hostile program that changes it lives until its sandbox ends.
 */
import { openSync, readdirSync, writeSync } from "node:fs"
import { constants } from "node:os"
import * as Kernel from "../Kernel.ts"

/** RLIMIT_RTTIME needs a real-time priority to count, and RLIMIT_AS so large a value never; gVisor has only the latter. */
const resources = [15, 9]
const base = 1n << 50n

type Exit = (child: Kernel.Reaped) => void

export class Processes {
  private readonly resource: number
  private readonly children = new Map<number, { readonly command: number; readonly exit: Exit }>()
  /** Opened while this process may still open it. */
  private readonly oomScore: number | undefined

  constructor() {
    const resource = resources.find((resource) => Kernel.setSoftLimit(resource, base))
    if (resource === undefined) throw new Error("no resource limit can be set")
    this.resource = resource
    this.oomScore = open("/proc/self/oom_score_adj")
    process.on("SIGCHLD", () => this.reap())
  }

  /** Starts a program with the command's mark; gives its pid, or below 0 the negative number of the error. */
  spawn(command: number, program: Kernel.Program, exit: Exit) {
    Kernel.setSoftLimit(this.resource, base + BigInt(command))
    // What a command starts is killed before this process where memory runs out.
    this.score("1000")
    try {
      const pid = Kernel.spawn(program)
      if (pid > 0) this.children.set(pid, { command, exit })
      return pid
    } finally {
      this.score("0")
      Kernel.setSoftLimit(this.resource, base)
    }
  }

  /** Sends a signal to every process of the command. */
  signal(command: number, signal: string) {
    for (const pid of this.of(command)) send(pid, signal)
  }

  /**
   * Kills every process of the command, and says whether none is left. All are stopped before the first is killed,
   * so that none acts on another's end, or forks faster than it is found.
   */
  async kill(command: number) {
    for (let round = 0; round < 100; round++) {
      const stopped = new Set<number>()
      for (;;) {
        const found = this.of(command).filter((pid) => !stopped.has(pid))
        if (found.length === 0) break
        for (const pid of found) {
          stopped.add(pid)
          send(pid, "SIGSTOP")
        }
      }
      for (const pid of stopped) send(pid, "SIGKILL")
      this.reap()
      if (this.of(command).length === 0) return true
      await new Promise((resolve) => setTimeout(resolve, Math.min(2 ** round, 50)))
    }
    return false
  }

  /** Kills what the ended command left running that left the most; says whether there was anything. */
  async killLargest() {
    const running = new Set([...this.children.values()].map(({ command }) => command))
    const counts = new Map<number, number>()
    for (const { command } of this.all()) {
      if (!running.has(command)) counts.set(command, (counts.get(command) ?? 0) + 1)
    }
    const [largest] = [...counts].sort(([, a], [, b]) => b - a)
    return largest !== undefined && (await this.kill(largest[0]))
  }

  private of(command: number) {
    return this.all()
      .filter((process) => process.command === command)
      .map(({ pid }) => pid)
  }

  /** All processes but this one. Those whose mark is no command's changed it: they go first where there is no room. */
  private all() {
    return readdirSync("/proc").flatMap((name) => {
      const pid = Number(name)
      const mark = pid > 1 ? Kernel.softLimit(pid, this.resource) : undefined
      return mark === undefined ? [] : [{ pid, command: Number(mark - base) }]
    })
  }

  private reap() {
    for (let child = Kernel.reap(); child !== undefined; child = Kernel.reap()) {
      const known = this.children.get(child.pid)
      this.children.delete(child.pid)
      known?.exit(child)
    }
  }

  private score(value: string) {
    if (this.oomScore !== undefined) writeSync(this.oomScore, value, 0)
  }
}

/** The name of a signal by its number. */
export const signalName = (number: number) =>
  Object.entries(constants.signals).find(([, value]) => value === number)?.[0] ?? `SIG${number}`

const send = (pid: number, signal: string) => {
  try {
    process.kill(pid, signal)
  } catch {
    // It has just ended.
  }
}

const open = (path: string) => {
  try {
    const descriptor = openSync(path, "r+")
    writeSync(descriptor, "0", 0)
    return descriptor
  } catch {
    return undefined
  }
}
