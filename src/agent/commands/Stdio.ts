/** Pipes or a terminal for a command that is about to start. */
import { constants, openSync } from "node:fs"
import * as Kernel from "../Kernel.ts"
import type { Start } from "../Protocol.ts"

export interface Stdio {
  readonly child: Kernel.Program["stdio"]
  /** Descriptors that are the child's alone once it runs. */
  readonly close: ReadonlyArray<number>
  /** Descriptors of this process, to be closed where the child does not start. */
  readonly keep: ReadonlyArray<number>
  readonly stdin: number | undefined
  readonly stdout: number
  readonly stderr: number
  readonly terminal: number | undefined
}

/** None where there are no descriptors left for it. */
export const openStdio = ({ terminal: size, stdin }: Start) => {
  const opened: Array<number> = []
  try {
    return size === null ? pipes(stdin, opened) : terminal(size, opened)
  } catch {
    for (const descriptor of opened) Kernel.close(descriptor)
    return undefined
  }
}

const pipes = (withInput: boolean, opened: Array<number>): Stdio => {
  const pipe = () => {
    const ends = Kernel.pipe()
    opened.push(ends.read, ends.write)
    return ends
  }
  const [out, error] = [pipe(), pipe()]
  const input = withInput ? pipe() : undefined
  return {
    child: [input?.read ?? "/dev/null", out.write, error.write],
    close: [out.write, error.write, ...(input === undefined ? [] : [input.read])],
    keep: [out.read, error.read, ...(input === undefined ? [] : [input.write])],
    stdin: input?.write,
    stdout: out.read,
    stderr: error.read,
    terminal: undefined,
  }
}

const terminal = ({ columns, rows }: NonNullable<Start["terminal"]>, opened: Array<number>): Stdio => {
  const own = openSync("/dev/ptmx", constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK)
  opened.push(own)
  Kernel.resizeTerminal(own, columns, rows)
  const other = Kernel.terminalOf(own)
  return {
    child: [other, other, other],
    close: [],
    keep: [own],
    stdin: own,
    stdout: own,
    stderr: own,
    terminal: own,
  }
}
