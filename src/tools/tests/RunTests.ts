/** Runs a project's tests, and answers what they came to. */
import { Effect, Schema } from "effect"
import { cancelCommand, commandsOf, TimeoutMs, timeoutOf } from "../commands/ToolCommand.ts"
import { defaultWaitMs, optional, ownerTool, WaitMs, WorkspacePath } from "../Tool.ts"
import { answerOf, running, testAnswer } from "./TestAnswer.ts"
import { RunnerName } from "./TestReport.ts"
import { runTests as run } from "./TestRun.ts"

/** Arguments of all tools that run tests. */
export const runArguments = {
  wait_ms: optional(
    WaitMs.annotations({
      description: `Time to wait for the end, in milliseconds; ${defaultWaitMs} otherwise. Tests that take longer go on: get_result has their report.`,
    }),
  ),
  timeout_ms: TimeoutMs,
}

const Text = Schema.String.pipe(
  Schema.minLength(1),
  Schema.maxLength(1000),
  Schema.filter((text) => !text.includes("\0") || "must not contain a NUL character"),
)

export const runTests = ownerTool({
  name: "run_tests",
  title: "Run tests",
  description:
    "Run a project's tests and get the facts: a verdict, counts, and for each failure its id, file, line, message, " +
    "expected and got. Knows pytest, unittest, vitest, jest, node:test, go test and cargo test, and finds which one " +
    "it is. Tests that fail are a normal result with `passed: false`.",
  input: Schema.Struct({
    cwd: optional(WorkspacePath.annotations({ description: "Folder of the project; /workspace otherwise." })),
    runner: optional(
      RunnerName.annotations({ description: "Found by itself otherwise; `node` is node:test." }),
    ),
    path: optional(
      WorkspacePath.annotations({ description: "Only this file or folder, relative to `cwd`." }),
    ),
    name: optional(Text.annotations({ description: "Only tests whose name contains this." })),
    args: optional(
      Schema.Array(Text)
        .pipe(Schema.maxItems(64))
        .annotations({ description: "More arguments for the runner, such as -x." }),
    ),
    ...runArguments,
  }),
  output: Schema.Struct(testAnswer),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },
  changes: true,
  stateOf: ({ status }) => (status === "timed_out" || status === "cancelled" ? status : "succeeded"),
  handler: Effect.fnUntraced(function* ({ args, cwd, name, path, runner, timeout_ms }, call) {
    const timeoutMs = yield* timeoutOf(timeout_ms, call.limits)
    const report = yield* run(call, commandsOf(call), { args, cwd, name, path, runner, timeoutMs })
    return answerOf(report, call)
  }),
  cancel: cancelCommand,
  partial: {
    waitMs: ({ wait_ms = defaultWaitMs }) => wait_ms,
    answer: (_, call) => Effect.succeed(running(call)),
  },
})
