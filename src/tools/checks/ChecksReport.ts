/** What `run_checks` answers: how each step went, in as much detail as one answer takes. */
import { Schema } from "effect"
import { reportFields, shown as shownTests } from "../tests/TestAnswer.ts"
import type { OwnerCall } from "../Tool.ts"
import { checkReport, operationAnswer, reportOf } from "./CheckReport.ts"
import { ending, short } from "./Finding.ts"
import { Room } from "../Room.ts"
import type { StepRun } from "./Step.ts"

export const checksAnswer = {
  ...operationAnswer,
  from: Schema.Literal(".codegen.yml", "project").annotations({ description: "What named the steps." }),
  steps: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      status: Schema.Literal("passed", "failed", "skipped", "timed_out", "cancelled"),
      duration_ms: Schema.Number,
      command: Schema.optional(Schema.String),
      exit_code: Schema.optional(Schema.Number),
      reason: Schema.optional(Schema.String),
      checks: Schema.optional(
        Schema.Struct(checkReport).annotations({
          jsonSchema: { type: "object", description: "As `lint` answers." },
        }),
      ),
      tests: Schema.optional(
        Schema.Struct(reportFields).annotations({
          jsonSchema: { type: "object", description: "As run_tests answers." },
        }),
      ),
      output: Schema.optional(Schema.String.annotations({ description: "Its end." })),
    }),
  ),
  report_artifact: Schema.optional(
    Schema.String.annotations({
      description: "All of it, uncut, for get_artifact; absent where it could not be kept.",
    }),
  ),
}

/** All that a run of checks came to. */
export interface Checks {
  readonly from: ".codegen.yml" | "project"
  readonly steps: ReadonlyArray<StepRun>
}

export const nothingYet = { from: "project" as const, steps: [] }

export const answerOf = (
  { from, steps }: Checks,
  { checkpoint, operation }: OwnerCall,
  report: string | undefined,
) => {
  const end = steps.find(({ status }) => status === "timed_out" || status === "cancelled")?.status
  return {
    operation_id: operation,
    status: end === "timed_out" || end === "cancelled" ? end : ("finished" as const),
    passed: hasPassed(steps),
    verdict: wholeVerdict(steps),
    from,
    steps: shownSteps(steps),
    ...(report === undefined ? {} : { report_artifact: report }),
    checkpoint: checkpoint(),
  }
}

const hasPassed = (steps: ReadonlyArray<StepRun>) =>
  steps.every(({ status }) => status === "passed" || status === "skipped")

/** `FAILED at lint: format passed; lint failed; types, tests skipped`. */
const wholeVerdict = (steps: ReadonlyArray<StepRun>) => {
  const first = steps.find(({ status }) => status !== "passed" && status !== "skipped")
  const parts = (["passed", "failed", "timed_out", "cancelled", "skipped"] as const).flatMap((status) => {
    const names = steps.filter((step) => step.status === status).map(({ name }) => name)
    return names.length === 0 ? [] : [`${names.join(", ")} ${status.replace("_", " ")}`]
  })
  return `${first === undefined ? "PASSED" : `FAILED at ${first.name}`}: ${parts.join("; ")}`
}

/** What did not pass is told of first, each in an equal part of the room; then what passed. */
const shownSteps = (steps: ReadonlyArray<StepRun>) => {
  const isFine = ({ status }: StepRun) => status === "passed" || status === "skipped"
  const shown = new Map<StepRun, object>()
  const room = new Room(answerLimit)
  const told = [...steps.filter((step) => !isFine(step)), ...steps.filter(isFine)]
  for (const [index, step] of told.entries()) {
    const next = told.slice(index).filter((other) => isFine(other) === isFine(step)).length
    const part = room.share(isFine(step) ? Math.max(next, 4) : next)
    shown.set(step, detailsOf(step, part))
    room.takeBack(part)
  }
  return steps.map((step) => ({
    name: step.name,
    status: step.status,
    duration_ms: step.durationMs,
    ...(step.command === undefined ? {} : { command: short(step.command, 120) }),
    ...(step.exitCode === undefined ? {} : { exit_code: step.exitCode }),
    ...shown.get(step),
  }))
}

const detailsOf = ({ checks, output, reason, status, tests }: StepRun, room: Room) => ({
  ...(reason !== undefined && room.takes(reason) ? { reason } : {}),
  ...(checks === undefined ? {} : { checks: reportOf(checks, room) }),
  ...(tests === undefined ? {} : { tests: room.fit((limit) => shownTests(tests, limit)) }),
  // As JSON a character of it takes two at most.
  ...(output === undefined || status === "passed"
    ? {}
    : { output: room.fit((limit) => ending(output, Math.floor(limit / 2))) }),
})

/** Characters of the details of one answer. */
const answerLimit = 22_000
