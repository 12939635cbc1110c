/** The small CI: runs all the checks of a project, and answers with one report. */
import { Effect, Schema } from "effect"
import * as Monotonic from "../../domain/Monotonic.ts"
import { commandsOf, timeoutOf } from "../commands/ToolCommand.ts"
import { optional, ownerTool } from "../Tool.ts"
import { answerOf, type Checks, checksAnswer, nothingYet } from "./ChecksReport.ts"
import { checking, checkInput, folderOf } from "./CheckTool.ts"
import { readFile } from "./CodegenFile.ts"
import { type BuiltIn, builtIn, type Step } from "./Step.ts"
import { saved } from "./SavedReport.ts"
import { runSteps } from "./StepRun.ts"

export const runChecks = ownerTool({
  name: "run_checks",
  title: "Run all checks of a project",
  description:
    "Run a project's checks as CI would: format, lint, types, tests, each found by itself; or the steps of its " +
    ".codegen.yml (`steps: [{name, command}]`). Stops at the first that fails. What fails is a normal result with " +
    "`passed: false`.",
  input: Schema.Struct({
    ...checkInput,
    install: optional(
      Schema.Boolean.annotations({
        description:
          "Begin with npm ci and pip install -r, where a lock file or requirements.txt asks for them.",
      }),
    ),
    keep_going: optional(Schema.Boolean.annotations({ description: "Go on after a step that failed." })),
  }),
  output: Schema.Struct(checksAnswer),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true },
  ...checking(nothingYet),
  handler: Effect.fnUntraced(function* ({ cwd = ".", install = false, keep_going, timeout_ms }, call) {
    const deadline = (yield* timeoutOf(timeout_ms, call.limits)) + (yield* Monotonic.milliseconds)
    const folder = folderOf(cwd)
    const file = yield* readFile(yield* call.sandbox, folder)
    const wanted = file?.steps ?? builtIn.filter((name) => name !== "install").map(found)
    const first = install && !wanted.some(({ name }) => name === "install") ? [found("install")] : []
    const steps = yield* runSteps([...first, ...wanted], {
      call,
      commands: commandsOf(call),
      folder,
      deadline,
      keepGoing: keep_going ?? file?.keepGoing ?? false,
    })
    if (steps.every(({ status }) => status === "skipped")) return yield* new NoChecks({ folder })
    const checks: Checks = { from: file === undefined ? "project" : ".codegen.yml", steps }
    return answerOf(checks, call, yield* saved(checks, call))
  }),
})

const found = (name: BuiltIn): Step => ({ _tag: "BuiltIn", name, isAskedFor: false })

/** There is nothing in the folder that could be checked. */
class NoChecks extends Schema.TaggedError<NoChecks>()("NoChecks", { folder: Schema.String }) {
  override get message() {
    return `In ${this.folder} there is nothing to check: no tests that a runner is known for, and no formatter, linter or type checker that is installed or asked for.`
  }
  readonly next = "Name the project's folder in `cwd`, or write a .codegen.yml with steps of your own."
}
