/** Runs a command to its end. */
import { Effect, Schema } from "effect"
import type { CommandEnd, CommandSpec, OutputPiece } from "../domain/Command.ts"
import { OperationId } from "../domain/Identity.ts"
import type { Limits } from "../sandbox/Limits.ts"
import { settingOf, type Template } from "../sandbox/Templates.ts"
import { absolute, CheckpointState, notSaved, optional, ownerTool, WorkspacePath } from "./Tool.ts"

const EnvironmentName = Schema.String.pipe(Schema.pattern(/^[A-Za-z_][A-Za-z0-9_]*$/))

export const exec = ownerTool({
  name: "exec",
  title: "Run a command",
  description:
    "Run a command in the session's sandbox and wait for its end. Give either `command`, a shell line, or `argv`, " +
    "a program with its arguments. A command that exits with any code is a normal result: read `exit_code`, " +
    "`stdout` and `stderr`. Files and processes stay for the next call; there is no network.",
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
    timeout_ms: optional(
      Schema.Number.pipe(Schema.int(), Schema.positive()).annotations({
        description: "Wall time in milliseconds after which the command and all that it started is killed.",
      }),
    ),
  }),
  output: Schema.Struct({
    operation_id: OperationId.annotations({}),
    status: Schema.Literal("exited", "running", "timed_out", "cancelled", "interrupted"),
    exit_code: Schema.optional(Schema.Number),
    signal: Schema.optional(
      Schema.String.annotations({ description: "What ended the command, where it did not exit by itself." }),
    ),
    stdout: Schema.String,
    stderr: Schema.String,
    stdout_cursor: Schema.Number.annotations({ description: "Bytes that the command wrote to stdout." }),
    stderr_cursor: Schema.Number.annotations({ description: "Bytes that the command wrote to stderr." }),
    duration_ms: Schema.Number,
    cpu_ms: Schema.optional(Schema.Number.annotations({ description: "Processor time." })),
    peak_memory: Schema.optional(
      Schema.Number.annotations({ description: "In bytes; absent where it was small." }),
    ),
    note: Schema.optional(Schema.String.annotations({ description: "Which limit the command met." })),
    truncated: Schema.Boolean.annotations({ description: "The middle of the output is left out." }),
    checkpoint: CheckpointState,
  }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },
  changes: true,
  stateOf: ({ status }) => (status === "timed_out" || status === "cancelled" ? status : "succeeded"),
  handler: Effect.fn("tools.exec")(function* (input, { operation, limits, template, sandbox }) {
    const spec = yield* specOf(input, limits)
    const box = yield* sandbox
    return yield* Effect.acquireUseRelease(
      box.start(spec),
      (id) =>
        Effect.gen(function* () {
          const read = box.read(id, { stdout: 0, stderr: 0 }, spec.timeoutMs + killTimeMs, "end")
          const write =
            input.stdin === undefined ? Effect.void : box.write(id, Buffer.from(input.stdin), true)
          const [page] = yield* Effect.all([read, write], { concurrency: 2 })
          const stdout = shown(page.stdout, stdoutLimit)
          const stderr = shown(page.stderr, stderrLimit)
          const end: CommandEnd = page.end ?? {
            _tag: "TimedOut",
            durationMs: spec.timeoutMs,
            limits: [],
            spilled: {},
          }
          const note = noteOf(end, limits, template)
          return {
            operation_id: operation,
            status: statuses[end._tag],
            ...(end._tag === "Exited"
              ? { exit_code: end.code }
              : { signal: end._tag === "Signalled" ? end.signal : "SIGKILL" }),
            stdout: stdout.text,
            stderr: stderr.text,
            stdout_cursor: page.next.stdout,
            stderr_cursor: page.next.stderr,
            duration_ms: end.durationMs,
            ...(end.cpuMs === undefined ? {} : { cpu_ms: end.cpuMs }),
            ...(end.peakMemory === undefined ? {} : { peak_memory: end.peakMemory }),
            ...(note === "" ? {} : { note }),
            truncated: stdout.cut || stderr.cut,
            checkpoint: notSaved,
          }
        }),
      (id) => box.forget(id),
    )
  }),
})

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
    stdin: input.stdin === undefined ? "none" : "open",
    tty: false,
    timeoutMs,
  })
}

const statuses = {
  Exited: "exited",
  Signalled: "exited",
  TooMuchOutput: "exited",
  TimedOut: "timed_out",
  Cancelled: "cancelled",
} as const

/** The limits that the command met, in sentences. */
const noteOf = (end: CommandEnd, limits: Limits["Type"], template: Template) => {
  const folder = (path: string, field: "workspace" | "home" | "tmp") =>
    `${path} is full: it holds ${mebibytes(template[field])} (${settingOf(template, field)}). Delete files that are not needed.`
  const sentences = {
    memory: `The sandbox ran out of memory and a process was killed; its limit is ${mebibytes(template.memory)} (${settingOf(template, "memory")}).`,
    pids: `The sandbox could not start more processes; its limit is ${template.pids} (${settingOf(template, "pids")}). What the command left running was killed.`,
    workspace: folder("/workspace", "workspace"),
    home: folder("/home/agent", "home"),
    tmp: folder("/tmp", "tmp"),
  }
  const spilled = Object.values(end.spilled)
  return [
    ...(end._tag === "TooMuchOutput"
      ? [`The command was killed: it wrote more than ${mebibytes(limits.totalOutput)} (MAX_COMMAND_OUTPUT).`]
      : []),
    ...end.limits.map((limit) => sentences[limit]),
    ...(spilled.length === 0 ? [] : [`Longer output than is shown stands in ${spilled.join(" and ")}.`]),
  ].join(" ")
}

const mebibytes = (bytes: number) => `${Math.round(bytes / 1024 / 1024)} MiB`

/** Bash where the image has it. */
const shell = (line: string) => [
  "/bin/sh",
  "-c",
  '[ -x /bin/bash ] && exec /bin/bash -c "$1"; exec /bin/sh -c "$1"',
  "sh",
  line,
]

/** Time for the kill of a command that ran out of its own, in milliseconds. */
const killTimeMs = 15_000

/** Characters, so that an answer stays below what clients pass on to a model. */
const stdoutLimit = 24_000
const stderrLimit = 12_000

/**
 * Output as text of up to `limit` characters, counted as JSON writes them: head and tail, with a line between that
 * says how much is left out.
 */
const shown = ({ data, skipped, skippedAt }: OutputPiece, limit: number) => {
  const whole = decode(data)
  const cost = JSON.stringify(whole).length - 2
  if (skipped === 0 && cost <= limit) return { text: whole, cut: false }
  const half = Math.floor((limit / 2) * Math.min(1, whole.length / cost))
  const [head, tail] = skipped === 0 ? [data, data] : [data.subarray(0, skippedAt), data.subarray(skippedAt)]
  const [first, last] = [head.subarray(0, half), tail.subarray(-half)]
  const left = data.length + skipped - first.length - last.length
  return {
    text: `${decode(first)}\n[… ${left} bytes left out; write long output to a file and read its parts …]\n${decode(last)}`,
    cut: true,
  }
}

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
