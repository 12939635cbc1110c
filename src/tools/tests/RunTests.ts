/** Runs a project's tests, and answers what they came to. */
import { Effect, Schema } from "effect"
import { commandsOf, timeoutOf } from "../commands/ToolCommand.ts"
import { InvalidArguments } from "../InvalidArguments.ts"
import { optional, ownerTool, WorkspacePath } from "../Tool.ts"
import { readJUnit } from "./JUnitFiles.ts"
import { RunnerName } from "./TestReport.ts"
import { answerOf, runArguments, testTool } from "./TestTool.ts"
import { runTests as run } from "./TestRun.ts"

const Text = Schema.String.pipe(
  Schema.filter((text) => !text.includes("\0") || "must not contain a NUL character"),
  Schema.minLength(1),
  Schema.maxLength(1000),
)

export const runTests = ownerTool({
  ...testTool,
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
    only_changed: optional(
      Schema.Boolean.annotations({
        description: "Only tests that uncommitted changes concern; vitest and jest know them.",
      }),
    ),
    junit: optional(
      WorkspacePath.annotations({
        description: "Run nothing, but read this report in JUnit's XML; may be a glob pattern.",
      }),
    ),
    args: optional(
      Schema.Array(Text)
        .pipe(Schema.maxItems(64))
        .annotations({ description: "More arguments for the runner, such as -x." }),
    ),
    ...runArguments,
  }),
  handler: Effect.fnUntraced(function* ({ junit, timeout_ms, ...input }, call) {
    const { args, cwd, name, only_changed: onlyChanged, path, runner } = input
    const request = { args, cwd, name, onlyChanged, path, runner }
    const timeoutMs = yield* timeoutOf(timeout_ms, call.limits)
    if (junit === undefined) {
      return answerOf(yield* run(call, commandsOf(call), { ...request, timeoutMs }), call)
    }
    if (Object.values(request).some((value) => value !== undefined)) {
      return yield* new InvalidArguments({
        problem: "`junit` reads a report, and runs nothing: give it alone.",
      })
    }
    return answerOf(yield* readJUnit(yield* call.sandbox, junit), call)
  }),
})
