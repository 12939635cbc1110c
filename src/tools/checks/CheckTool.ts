/** What `lint`, `typecheck` and `format` have in common: they find the checkers of one kind, and run them. */
import { Effect } from "effect"
import * as Monotonic from "../../domain/Monotonic.ts"
import { cancelCommand, commandsOf, TimeoutMs, timeoutOf } from "../commands/ToolCommand.ts"
import { absolute, defaultWaitMs, optional, type OwnerCall, WaitMs, WorkspacePath } from "../Tool.ts"
import type { Kind } from "./Checker.ts"
import { neededFor, programsOf } from "./Checkers.ts"
import { running, stateOf } from "./CheckReport.ts"
import { runCheckers } from "./CheckRun.ts"
import { lookAt } from "./CheckedProject.ts"

/** Arguments of every tool that checks a project. */
export const checkInput = {
  cwd: optional(WorkspacePath.annotations({ description: "The project's folder; /workspace otherwise." })),
  wait_ms: optional(
    WaitMs.annotations({
      description: `Time to wait for the end, in milliseconds; ${defaultWaitMs} otherwise. Then it goes on, and get_result gives its report.`,
    }),
  ),
  timeout_ms: TimeoutMs,
}

export interface CheckInput {
  readonly cwd?: string
  readonly wait_ms?: number
  readonly timeout_ms?: number
}

/** Checks the project; fails where there is nothing to check it with. */
export const check = Effect.fnUntraced(function* (
  kind: Kind,
  { cwd = ".", timeout_ms }: CheckInput,
  call: OwnerCall,
  write = false,
) {
  const deadline = (yield* timeoutOf(timeout_ms, call.limits)) + (yield* Monotonic.milliseconds)
  const commands = commandsOf(call)
  const project = yield* lookAt(yield* call.sandbox, folderOf(cwd), programsOf([kind]))
  return yield* runCheckers(yield* neededFor(project, kind), { commands, project, deadline }, write)
})

/** An absolute path without a slash or a dot at its end. */
export const folderOf = (cwd: string) => absolute(cwd).replace(/(?<=.)(\/\.?)+$/, "")

/** What every tool that checks does beside checking. `nothing` is its report before there is one. */
export const checking = <A>(nothing: A) => ({
  changes: true,
  stateOf,
  cancel: cancelCommand,
  partial: {
    waitMs: ({ wait_ms = defaultWaitMs }: CheckInput) => wait_ms,
    answer: (_: CheckInput, call: OwnerCall) => Effect.succeed({ ...nothing, ...running(call) }),
  },
})
