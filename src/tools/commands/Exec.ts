/** Runs a command, and answers with its end, or with how it stands where it takes longer than the caller waits. */
import { Effect, Schema } from "effect"
import type { CommandSpec } from "../../domain/Command.ts"
import { InvalidArguments } from "../InvalidArguments.ts"
import { absolute, defaultWaitMs, optional, ownerTool, WaitMs, WorkspacePath } from "../Tool.ts"
import { commandAnswer, standing, summary } from "./CommandAnswer.ts"
import { cancelCommand, commandsOf, shell, soFar, TimeoutMs, timeoutOf } from "./ToolCommand.ts"

const EnvironmentName = Schema.String.pipe(Schema.pattern(/^[A-Za-z_][A-Za-z0-9_]*$/))

export const exec = ownerTool({
  name: "exec",
  title: "Run a command",
  description:
    "Run a command in the session's sandbox and wait for its end, up to `wait_ms`. Give either `command`, a shell line, " +
    "or `argv`, a program with its arguments. A command that exits with any code is a normal result: read `exit_code`, " +
    "`stdout` and `stderr`. One that still runs goes on in the background: read_output, send_input and kill_command " +
    "take its `operation_id`. Files and processes stay for the next call; the network is what set_network_policy allows, none at first.",
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
    timeout_ms: TimeoutMs,
  }),
  output: Schema.Struct({
    ...commandAnswer,
    truncated: Schema.Boolean.annotations({
      description: "The middle of the output is left out; read_output gives all that is kept.",
    }),
  }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true },
  changes: true,
  stateOf: ({ status }) => (status === "timed_out" || status === "cancelled" ? status : "succeeded"),
  handler: Effect.fnUntraced(function* (input, call) {
    const spec = yield* specOf(input, call.limits)
    const { stdin, stdin_open = false } = input
    const ran = yield* commandsOf(call).run(
      spec,
      shownOf(input),
      stdin === undefined ? undefined : { data: Buffer.from(stdin), end: !stdin_open },
    )
    return { ...standing(ran.command, ran.end, call), ...summary(ran.page) }
  }),
  cancel: cancelCommand,
  partial: {
    waitMs: ({ wait_ms = defaultWaitMs }) => wait_ms,
    answer: (_, call) => soFar(call),
  },
})

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
  return Effect.map(timeoutOf(input.timeout_ms, limits), (timeoutMs) => ({
    argv: [program, ...args],
    cwd: absolute(input.cwd ?? "."),
    env: input.env ?? {},
    stdin: input.stdin === undefined && input.stdin_open !== true ? "none" : "open",
    tty: input.tty ?? false,
    timeoutMs,
  }))
}

/** The command as its caller gave it, for lists. */
const shownOf = ({
  command,
  argv = [],
}: {
  readonly command?: string
  readonly argv?: ReadonlyArray<string>
}) => (command ?? argv.join(" ")).slice(0, 200)
