/** Runs the steps of a project's checks, one after another, as the commands of one operation. */
import { Effect } from "effect"
import type { CommandEnd } from "../../domain/Command.ts"
import type { Explained } from "../../domain/Failure.ts"
import * as Monotonic from "../../domain/Monotonic.ts"
import { type commandsOf, shell } from "../commands/ToolCommand.ts"
import { runTests } from "../tests/TestRun.ts"
import type { OwnerCall } from "../Tool.ts"
import type { Kind } from "./Checker.ts"
import { chosenFor, programsOf } from "./Checkers.ts"
import { runCheckers } from "./CheckRun.ts"
import { ending } from "./Finding.ts"
import { installLine } from "./Install.ts"
import { lookAt } from "./CheckedProject.ts"
import type { BuiltIn, Step, StepRun, StepStatus } from "./Step.ts"
import { written } from "./Written.ts"

export interface StepContext {
  readonly call: OwnerCall
  readonly commands: ReturnType<typeof commandsOf>
  /** The project's, absolute. */
  readonly folder: string
  /** By the monotonic clock, in milliseconds. */
  readonly deadline: number
  /** Goes on after a step that failed. */
  readonly keepGoing: boolean
}

/** What a step came to but its name and time. */
type Result = Omit<StepRun, "name" | "durationMs">

export const runSteps = Effect.fn("checks.runSteps")(function* (
  steps: ReadonlyArray<Step>,
  context: StepContext,
) {
  const runs: Array<StepRun> = []
  let stopped: string | undefined
  for (const [index, step] of steps.entries()) {
    const { name } = step
    if (stopped !== undefined) {
      runs.push({ name, status: "skipped", durationMs: 0, reason: stopped })
      continue
    }
    context.commands.say(`[${index + 1}/${steps.length}] ${name}\n`)
    const begin = yield* Monotonic.milliseconds
    const result = yield* runStep(step, context)
    runs.push({ name, ...result, durationMs: (yield* Monotonic.milliseconds) - begin })
    if (result.status === "timed_out") stopped = "there was no time left (timeout_ms)"
    else if (result.status === "cancelled") stopped = "the run was cancelled"
    else if (result.status === "failed" && !context.keepGoing) stopped = `${name} failed`
  }
  return runs as ReadonlyArray<StepRun>
})

const runStep = (step: Step, context: StepContext): Effect.Effect<Result, Explained> => {
  if (step._tag === "Command") return command(step.line, step.folder, context)
  const nothing = (reason: string): Result => ({ status: step.isAskedFor ? "failed" : "skipped", reason })
  switch (step.name) {
    case "install":
      return install(context, nothing)
    case "tests":
      return tests(context, nothing)
    default:
      return checks(step.name, context, nothing)
  }
}

const command = Effect.fnUntraced(function* (line: string, cwd: string, { commands, deadline }: StepContext) {
  const timeoutMs = deadline - (yield* Monotonic.milliseconds)
  if (timeoutMs <= 0) return { status: "timed_out" as const, command: line }
  const { end, page } = yield* commands.run(
    { argv: shell(line), cwd, env: {}, stdin: "none", tty: false, timeoutMs },
    line.slice(0, 200),
  )
  const output = [page.stdout, page.stderr]
    .map((piece) => written(piece))
    .map(({ head, tail }) => ending((tail || head).trim(), outputLimit))
  return {
    status: statusOf(end),
    command: line,
    exitCode: end._tag === "Exited" ? end.code : undefined,
    ...(end._tag === "Signalled" ? { reason: `It was ended by ${end.signal}.` } : {}),
    ...(end._tag === "TooMuchOutput" ? { reason: "It was killed, for it wrote too much." } : {}),
    output: output.filter((text) => text !== "").join("\n"),
  } satisfies Result
})

const statusOf = (end: CommandEnd): StepStatus =>
  end._tag === "TimedOut"
    ? "timed_out"
    : end._tag === "Cancelled"
      ? "cancelled"
      : end._tag === "Exited" && end.code === 0
        ? "passed"
        : "failed"

const install = Effect.fnUntraced(function* (context: StepContext, nothing: (reason: string) => Result) {
  const line = installLine(yield* lookAt(yield* context.call.sandbox, context.folder, []))
  return line === undefined
    ? nothing("There is neither a package-lock.json nor a requirements.txt.")
    : yield* command(line, context.folder, context)
})

const checks = Effect.fnUntraced(function* (
  name: Exclude<BuiltIn, "install" | "tests">,
  { call, commands, deadline, folder }: StepContext,
  nothing: (reason: string) => Result,
) {
  const kind: Kind = name
  // Anew for each step: an earlier one may have installed something.
  const project = yield* lookAt(yield* call.sandbox, folder, programsOf([kind]))
  const chosen = chosenFor(project, kind)
  if (chosen.length === 0) return nothing("The project asks for none, and none is installed.")
  const runs = yield* runCheckers(chosen, { commands, project, deadline }, false)
  const end = runs.find(({ status }) => status === "timed_out" || status === "cancelled")?.status
  return {
    status:
      end === "timed_out" || end === "cancelled"
        ? end
        : runs.every(({ status }) => status === "passed")
          ? "passed"
          : "failed",
    checks: runs,
  } satisfies Result
})

const tests = (
  { call, commands, deadline, folder }: StepContext,
  nothing: (reason: string) => Result,
): Effect.Effect<Result, Explained> =>
  Effect.gen(function* () {
    const timeoutMs = deadline - (yield* Monotonic.milliseconds)
    if (timeoutMs <= 0) return { status: "timed_out" as const }
    const report = yield* runTests(call, commands, { cwd: folder, timeoutMs })
    return {
      status: report.status !== "finished" ? report.status : report.passed ? "passed" : "failed",
      tests: report,
    } satisfies Result
  }).pipe(
    Effect.catchTags({
      NoTests: ({ message }) => Effect.succeed(nothing(message)),
      RunnerMissing: ({ message, next }) =>
        Effect.succeed<Result>({ status: "failed", reason: `${message} ${next}` }),
    }),
  )

/** Characters of each stream of a command. */
const outputLimit = 4000
