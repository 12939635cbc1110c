/** A command in a sandbox: what to run, and what has come of it. */
import { Schema } from "effect"

/** Names a command within its sandbox. */
export const CommandId = Schema.NonEmptyString.pipe(Schema.brand("CommandId"))
export type CommandId = typeof CommandId.Type

/** What to run. `argv` is run as it is, without a shell. */
export interface CommandSpec {
  readonly argv: readonly [string, ...ReadonlyArray<string>]
  /** Absolute, inside the sandbox. */
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  /** `open`: input comes by `write`, and ends by its `end`. `none`: the command reads an end at once. */
  readonly stdin: "open" | "none"
  /** Give the command a terminal of 80 columns and 24 rows; its output is then all on stdout. */
  readonly tty: boolean
  /** Wall time in milliseconds, after which the whole process tree is killed. */
  readonly timeoutMs: number
}

/** A limit of the sandbox that a command met while it ran. */
export const LimitMet = Schema.Literal("memory", "pids", "workspace", "home", "tmp")
export type LimitMet = typeof LimitMet.Type

/** What a command took. */
export interface CommandUsage {
  /** Wall time in milliseconds. */
  readonly durationMs: number
  /** Processor time of the main process and the children it waited for, in milliseconds. */
  readonly cpuMs?: number
  /** Resident memory at its peak, in bytes; absent where it stayed below what can be measured, about 64 MiB. */
  readonly peakMemory?: number
  readonly limits: ReadonlyArray<LimitMet>
  /** Files in the sandbox that hold the output from its beginning, where more came than is kept. */
  readonly spilled: { readonly stdout?: string; readonly stderr?: string }
}

/** How a command ended. All but the first were killed, with everything that they had started. */
export type CommandEnd = CommandUsage &
  (
    | { readonly _tag: "Exited"; readonly code: number }
    | { readonly _tag: "Signalled"; readonly signal: string }
    | { readonly _tag: "TimedOut" }
    | { readonly _tag: "Cancelled" }
    | { readonly _tag: "TooMuchOutput" }
  )

/** Counts of bytes that a command has written so far. */
export interface OutputCursor {
  readonly stdout: number
  readonly stderr: number
}

/** A piece of one stream. */
export interface OutputPiece {
  readonly data: Uint8Array
  /** Bytes that were not kept, and the index in `data` at which they are missing. */
  readonly skipped: number
  readonly skippedAt: number
}

/** What a command wrote since a cursor, and its end once it has ended. */
export interface CommandPage {
  readonly stdout: OutputPiece
  readonly stderr: OutputPiece
  readonly next: OutputCursor
  readonly end: CommandEnd | undefined
}

/** Signals that a caller may send. */
export type CommandSignal = "SIGINT" | "SIGTERM" | "SIGKILL" | "SIGHUP" | "SIGQUIT" | "SIGUSR1" | "SIGUSR2"
