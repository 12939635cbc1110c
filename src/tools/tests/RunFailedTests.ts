/** Repeats the tests that failed in the session's last run. */
import { Effect, Schema } from "effect"
import { commandsOf, timeoutOf } from "../commands/ToolCommand.ts"
import { ownerTool } from "../Tool.ts"
import { recall } from "./LastFailed.ts"
import { answerOf, runArguments, testTool } from "./TestTool.ts"
import { runTests as run } from "./TestRun.ts"

export const runFailedTests = ownerTool({
  ...testTool,
  name: "run_failed_tests",
  title: "Run failed tests",
  description:
    "Repeat the tests that failed in this session's last run of tests, and the files whose tests could not start. " +
    "Answers as run_tests does.",
  input: Schema.Struct(runArguments),
  handler: Effect.fnUntraced(function* ({ timeout_ms }, call) {
    const timeoutMs = yield* timeoutOf(timeout_ms, call.limits)
    const last = yield* recall(yield* call.sandbox)
    if (last === undefined) return yield* new NothingFailed()
    const { all, args, cwd, failed, runner } = last
    const only = all ? [] : failed
    const report = yield* run(call, commandsOf(call), { args, cwd, runner, only, timeoutMs })
    return answerOf(
      all
        ? { ...report, notes: [...report.notes, "Something had not started at all, so that all tests ran."] }
        : report,
      call,
    )
  }),
})

class NothingFailed extends Schema.TaggedError<NothingFailed>()("NothingFailed", {}) {
  override get message() {
    return "No test failed in this session's last run of tests."
  }
  readonly next = "Run them with run_tests."
}
