/** Runs a command, and answers with its end, or with how it stands where it takes longer than the caller waits. */
import { Effect, Exit, Schema } from "effect"
import type { CommandEnd, CommandSpec, OutputCursor } from "../../domain/Command.ts"
import type { Progress } from "../../domain/Event.ts"
import { commandAnswer, noPage, part, standing, summary } from "./CommandAnswer.ts"
import type { SessionCommand } from "./SessionCommands.ts"
import { absolute, defaultWaitMs, optional, ownerTool, WaitMs, WorkspacePath } from "../Tool.ts"

const EnvironmentName = Schema.String.pipe(Schema.pattern(/^[A-Za-z_][A-Za-z0-9_]*$/))

export const exec = ownerTool({
  name: "exec",
  title: "Run a command",
  description:
    "Run a command in the session's sandbox and wait for its end, up to `wait_ms`. Give either `command`, a shell line, " +
    "or `argv`, a program with its arguments. A command that exits with any code is a normal result: read `exit_code`, " +
    "`stdout` and `stderr`. One that still runs goes on in the background: read_output, send_input and kill_command " +
    "take its `operation_id`. Files and processes stay for the next call; there is no network.",
  input: Schema.Struct({
    command: optional(
      Schema.String.pipe(Schema.minLength(1)).annotations({
        description: "A line for bash.",
      }),
    ),
    argv: optional(
      Schema.Array(Schema.String).pipe(Schema.minItems(1)).annotations({
        description: "A program and its arguments, run without a shell.",
      }),
    ),
    cwd: optional(WorkspacePath.annotations({ description: "Folder to run in; /workspace otherwise." })),
    env: optional(
      Schema.Record({ key: EnvironmentName, value: Schema.String }).annotations({
        jsonSchema: {
          type: "object",
          description: "Environment variables to add.",
          additionalProperties: { type: "string" },
        },
      }),
    ),
    stdin: optional(Schema.String.annotations({ description: "Standard input, as text." })),
    stdin_open: optional(
      Schema.Boolean.annotations({ description: "Keep standard input open, for send_input." }),
    ),
    tty: optional(
      Schema.Boolean.annotations({
        description: "Give the command a terminal of 80 by 24; all of its output is then in stdout.",
      }),
    ),
    wait_ms: optional(
      WaitMs.annotations({
        description:
          `Time to wait for the end, in milliseconds; ${defaultWaitMs} otherwise. A command that runs longer goes on: ` +
          "the answer has `status: running`, and read_output shows the rest.",
      }),
    ),
    timeout_ms: optional(
      Schema.Number.pipe(Schema.int(), Schema.positive()).annotations({
        description:
          "Wall time in milliseconds after which the command and all that it started is killed, also one that goes on " +
          "in the background.",
      }),
    ),
  }),
  output: Schema.Struct({
    ...commandAnswer,
    truncated: Schema.Boolean.annotations({
      description: "The middle of the output is left out; read_output gives all that is kept.",
    }),
  }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },
  changes: true,
  stateOf: ({ status }) => (status === "timed_out" || status === "cancelled" ? status : "succeeded"),
  handler: Effect.fnUntraced(function* (input, call) {
    const spec = yield* specOf(input, call.limits)
    const sandbox = yield* call.sandbox
    return yield* Effect.acquireUseRelease(
      call.commands.start(call.operation, sandbox, spec, shownOf(input)),
      (command) =>
        Effect.gen(function* () {
          const read = sandbox.read(command.id, start, spec.timeoutMs + killTimeMs, "end")
          const { stdin, stdin_open = false } = input
          const beside = [
            ...(stdin === undefined ? [] : [sandbox.write(command.id, Buffer.from(stdin), !stdin_open)]),
            ...(call.progress === undefined ? [] : [tell(command, call.progress)]),
          ]
          const page = yield* beside.length === 0
            ? read
            : Effect.zipLeft(read, Effect.all(beside, { concurrency: 2 }), { concurrent: true })
          const end: CommandEnd = page.end ?? {
            _tag: "TimedOut",
            durationMs: spec.timeoutMs,
            limits: [],
            spilled: {},
          }
          yield* call.commands.end(command, page)
          return { ...standing(command, end, call), ...summary(page) }
        }),
      (command, exit) => (Exit.isSuccess(exit) ? Effect.void : call.commands.drop(command)),
    )
  }),
  cancel: (operation, commands) => {
    const command = commands.find(operation)
    return command === undefined || command.kept !== undefined
      ? Effect.succeed(false)
      : Effect.as(Effect.ignore(command.sandbox.cancel(command.id)), true)
  },
  partial: {
    waitMs: ({ wait_ms = defaultWaitMs }) => wait_ms,
    answer: Effect.fnUntraced(function* (_, call) {
      const command = call.commands.find(call.operation)
      const page =
        command === undefined ? noPage : yield* command.sandbox.read(command.id, start, 0, "output")
      const { operation } = call
      return {
        ...standing(command ?? { operation, startedAt: Date.now() }, undefined, call),
        ...summary(page),
      }
    }),
  },
})

/** Tells of a command's output as it comes, to its end. */
const tell = Effect.fnUntraced(function* (
  { id, sandbox }: SessionCommand,
  progress: (progress: Progress) => void,
) {
  let cursor = start
  let bytes = 0
  for (;;) {
    const page = yield* sandbox.read(id, cursor, endless, "output")
    const { stderr, stderr_cursor, stdout, stdout_cursor, more } = part(page, cursor)
    bytes += stdout_cursor - cursor.stdout
    if (stdout !== "") progress({ progress: bytes, message: stdout })
    bytes += stderr_cursor - cursor.stderr
    if (stderr !== "") progress({ progress: bytes, message: stderr })
    cursor = { stdout: stdout_cursor, stderr: stderr_cursor }
    if (page.end !== undefined && !more) return
    // What comes meanwhile is told in one piece.
    if (page.end === undefined) yield* Effect.sleep(telling)
  }
})

/** In milliseconds. */
const endless = 600_000
const telling = 20

/** Exactly one of `command` and `argv` is needed, which a flat schema cannot say. */
class InvalidArguments extends Schema.TaggedError<InvalidArguments>()("InvalidArguments", {
  problem: Schema.String,
}) {
  override get message() {
    return this.problem
  }
  readonly next = "Correct the arguments and call again."
}

const specOf = (
  input: {
    readonly command?: string | undefined
    readonly argv?: ReadonlyArray<string> | undefined
    readonly cwd?: string | undefined
    readonly env?: Readonly<Record<string, string>> | undefined
    readonly stdin?: string | undefined
    readonly stdin_open?: boolean | undefined
    readonly tty?: boolean | undefined
    readonly timeout_ms?: number | undefined
  },
  limits: { readonly commandTimeoutMs: number; readonly maxCommandTimeoutMs: number },
): Effect.Effect<CommandSpec, InvalidArguments> => {
  const [program, ...args] = input.argv ?? (input.command === undefined ? [] : shell(input.command))
  const timeoutMs = input.timeout_ms ?? Math.min(limits.commandTimeoutMs, limits.maxCommandTimeoutMs)
  if ((input.argv === undefined) === (input.command === undefined) || program === undefined) {
    return Effect.fail(new InvalidArguments({ problem: "Give either `command` or `argv`, and not both." }))
  }
  if (
    [input.command, ...(input.argv ?? []), ...Object.values(input.env ?? {})].some((text) =>
      text?.includes("\0"),
    )
  ) {
    return Effect.fail(
      new InvalidArguments({ problem: "A command and its environment cannot contain a NUL character." }),
    )
  }
  if (timeoutMs > limits.maxCommandTimeoutMs) {
    return Effect.fail(
      new InvalidArguments({
        problem: `timeout_ms may be ${limits.maxCommandTimeoutMs} at most (MAX_COMMAND_TIMEOUT).`,
      }),
    )
  }
  return Effect.succeed({
    argv: [program, ...args],
    cwd: absolute(input.cwd ?? "."),
    env: input.env ?? {},
    stdin: input.stdin === undefined && input.stdin_open !== true ? "none" : "open",
    tty: input.tty ?? false,
    timeoutMs,
  })
}

/** Bash where the image has it. */
const shell = (line: string) => [
  "/bin/sh",
  "-c",
  '[ -x /bin/bash ] && exec /bin/bash -c "$1"; exec /bin/sh -c "$1"',
  "sh",
  line,
]

/** The command as its caller gave it, for lists. */
const shownOf = ({
  command,
  argv = [],
}: {
  readonly command?: string
  readonly argv?: ReadonlyArray<string>
}) => (command ?? argv.join(" ")).slice(0, 200)

const start: OutputCursor = { stdout: 0, stderr: 0 }

/** Time for the kill of a command that ran out of its own, in milliseconds. */
const killTimeMs = 15_000
