/**
 * Commands that a tool runs as its operation, one after another. read_output, kill_command and a cancel find the one
 * that runs by the operation's id; the last one's output stays to be read.
 */
import { Effect, Exit, Schema } from "effect"
import type { CommandEnd, CommandPage, CommandSpec, OutputCursor } from "../../domain/Command.ts"
import type { OperationId } from "../../domain/Identity.ts"
import { InvalidArguments } from "../InvalidArguments.ts"
import { optional, type OwnerCall } from "../Tool.ts"
import { noPage, part, standing, summary } from "./CommandAnswer.ts"
import type { SessionCommand, SessionCommands } from "./SessionCommands.ts"

export interface Ran {
  readonly command: SessionCommand
  /** All output that is kept. */
  readonly page: CommandPage
  readonly end: CommandEnd
}

/** Standard input of a command from its start; `end` closes it after that. */
interface Input {
  readonly data: Uint8Array
  readonly end: boolean
}

/**
 * What one operation runs. What a tool runs only to look is not `kept`: it takes no place of those whose output callers
 * come back for.
 */
export const commandsOf = (call: OwnerCall, { kept = true }: { readonly kept?: boolean } = {}) => {
  let told = 0
  const tell = (weight: number, message: string) => {
    told += weight
    if (message !== "") call.progress?.({ progress: told, message })
  }

  return {
    /** Tells the caller, where it wants to know, what comes next. */
    say: (message: string) => tell(1, message),

    /** Runs a command to its end, whatever that is. `shown` is what lists of commands say of it. */
    run: Effect.fnUntraced(function* (spec: CommandSpec, shown: string, input?: Input) {
      const sandbox = yield* call.sandbox
      return yield* Effect.acquireUseRelease(
        call.commands.start(call.operation, sandbox, spec, shown),
        (command) =>
          Effect.gen(function* () {
            const read = sandbox.read(command.id, start, spec.timeoutMs + killTimeMs, "end")
            const beside = [
              ...(input === undefined ? [] : [sandbox.write(command.id, input.data, input.end)]),
              ...(call.progress === undefined ? [] : [follow(command, tell)]),
            ]
            const page = yield* beside.length === 0
              ? read
              : Effect.zipLeft(read, Effect.all(beside, { concurrency: 2 }), { concurrent: true })
            if (kept) yield* call.commands.end(command, page)
            const end = page.end ?? overdue(spec.timeoutMs)
            return { command, page, end } satisfies Ran
          }),
        (command, exit) => (kept && Exit.isSuccess(exit) ? Effect.void : call.commands.drop(command)),
      )
    }),
  }
}

/** How the command of an operation stands that runs, with its output so far: what a tool answers before its end. */
export const soFar = Effect.fnUntraced(function* (call: OwnerCall) {
  const command = call.commands.find(call.operation)
  const page = command === undefined ? noPage : yield* command.sandbox.read(command.id, start, 0, "output")
  const { operation } = call
  return { ...standing(command ?? { operation, startedAt: Date.now() }, undefined, call), ...summary(page) }
})

/** Ends the command of an operation, for `cancel` of a tool: its handler then sees an end that is `Cancelled`. */
export const cancelCommand = (operation: OperationId, commands: SessionCommands) => {
  const command = commands.find(operation)
  return command === undefined || command.kept !== undefined
    ? Effect.succeed(false)
    : Effect.as(Effect.ignore(command.sandbox.cancel(command.id)), true)
}

/** What runs a shell line: bash where the image has it. */
export const shell = (line: string) =>
  ["/bin/sh", "-c", '[ -x /bin/bash ] && exec /bin/bash -c "$1"; exec /bin/sh -c "$1"', "sh", line] as const

/** The argument that bounds the time of a tool's command. */
export const TimeoutMs = optional(
  Schema.Number.pipe(Schema.int(), Schema.positive()).annotations({
    description:
      "Wall time in milliseconds after which the command and all that it started is killed, also one that goes on " +
      "in the background.",
  }),
)

/** The time that a command has: what its caller says, as far as that is allowed. */
export const timeoutOf = (
  timeoutMs: number | undefined,
  limits: Pick<OwnerCall["limits"], "commandTimeoutMs" | "maxCommandTimeoutMs">,
) =>
  timeoutMs !== undefined && timeoutMs > limits.maxCommandTimeoutMs
    ? Effect.fail(
        new InvalidArguments({
          problem: `timeout_ms may be ${limits.maxCommandTimeoutMs} at most (MAX_COMMAND_TIMEOUT).`,
        }),
      )
    : Effect.succeed(timeoutMs ?? Math.min(limits.commandTimeoutMs, limits.maxCommandTimeoutMs))

/** Tells of a command's output as it comes, to its end. */
const follow = Effect.fnUntraced(function* (
  { id, sandbox }: SessionCommand,
  tell: (weight: number, message: string) => void,
) {
  let cursor = start
  for (;;) {
    const page = yield* sandbox.read(id, cursor, endless, "output")
    const { stderr, stderr_cursor, stdout, stdout_cursor, more } = part(page, cursor)
    tell(stdout_cursor - cursor.stdout, stdout)
    tell(stderr_cursor - cursor.stderr, stderr)
    cursor = { stdout: stdout_cursor, stderr: stderr_cursor }
    if (page.end !== undefined && !more) return
    // What comes meanwhile is told in one piece.
    if (page.end === undefined) yield* Effect.sleep(telling)
  }
})

/** Of a command whose end is not told though its time is over. */
const overdue = (durationMs: number): CommandEnd => ({
  _tag: "TimedOut",
  durationMs,
  limits: [],
  spilled: {},
})

export const start: OutputCursor = { stdout: 0, stderr: 0 }

/** In milliseconds. */
const endless = 600_000
const telling = 20

/** Time for the kill of a command that ran out of its own, in milliseconds. */
const killTimeMs = 15_000
