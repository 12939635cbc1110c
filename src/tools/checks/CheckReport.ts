/** What the tools that check answer: a verdict, counts, and as many findings as one answer takes. */
import { Schema } from "effect"
import { OperationId } from "../../domain/Identity.ts"
import { CheckpointState, type OwnerCall } from "../Tool.ts"
import type { CheckerRun } from "./CheckRun.ts"
import { Finding, type Severity } from "./Finding.ts"
import { Room } from "../Room.ts"

/** `running` says that it goes on; all others are ends. */
const CheckStatus = Schema.Literal("finished", "running", "timed_out", "cancelled")

/** Fields of every answer that may come before the end. */
export const operationAnswer = {
  operation_id: OperationId.annotations({ description: "For get_result, read_output and kill_command." }),
  status: CheckStatus.annotations({ description: "`running`: it goes on; get_result gives its report." }),
  passed: Schema.optional(Schema.Boolean),
  verdict: Schema.String.annotations({ description: "The whole in one line." }),
  checkpoint: CheckpointState,
}

const CheckerSummary = Schema.Struct({
  checker: Schema.String,
  command: Schema.String,
  status: Schema.Literal("passed", "failed", "broken", "not_installed", "timed_out", "cancelled").annotations(
    {
      description: "`broken`: it failed without a finding; `output` says why.",
    },
  ),
  exit_code: Schema.optional(Schema.Number),
  duration_ms: Schema.Number,
  errors: Schema.Number,
  warnings: Schema.Number,
  output: Schema.optional(Schema.String),
})

export const checkReport = {
  errors: Schema.Number,
  warnings: Schema.Number,
  checkers: Schema.Array(CheckerSummary),
  findings: Schema.Array(Finding).annotations({ description: "Errors first." }),
  omitted: Schema.optional(
    Schema.Number.annotations({ description: "Findings that the answer has no room for." }),
  ),
  note: Schema.optional(Schema.String),
}

/** Of what still runs. */
export const nothingYet = { errors: 0, warnings: 0, checkers: [], findings: [] }

const count = (findings: ReadonlyArray<Finding>, severity: Severity) =>
  findings.filter((finding) => finding.severity === severity).length

/** Runs as an answer shows them, in the room that it has left. */
export const reportOf = (runs: ReadonlyArray<CheckerRun>, room: Room) => {
  const all = runs.flatMap(({ findings }) => findings).toSorted(bySeverity)
  const part = room.share(2)
  const checkers = runs.map(summaryOf(part))
  room.takeBack(part)
  const findings = room.fill(all)
  const skipped = runs.filter((run) => run.skipped > 0)
  const note = [
    ...(findings.length < all.length
      ? ["Correct these first and call again, or write the checker's output to a file with exec."]
      : []),
    ...skipped.map(
      (run) =>
        `${run.checker} wrote ${run.skipped} bytes more than are kept (OUTPUT_LIMIT): there are more findings.`,
    ),
  ].join(" ")
  return {
    errors: count(all, "error"),
    warnings: count(all, "warning"),
    checkers,
    findings,
    ...(findings.length < all.length ? { omitted: all.length - findings.length } : {}),
    ...(note === "" ? {} : { note }),
  }
}

/** The answer at the end of what ran; its checkpoint is that of then. */
export const answerOf = (runs: ReadonlyArray<CheckerRun>, { checkpoint, operation }: OwnerCall) => {
  const end = runs.find(({ status }) => status === "timed_out" || status === "cancelled")?.status
  const passed = runs.every(({ status }) => status === "passed")
  return {
    operation_id: operation,
    status: end === "timed_out" || end === "cancelled" ? end : ("finished" as const),
    passed,
    verdict: verdictOf(runs),
    ...reportOf(runs, new Room(answerLimit)),
    checkpoint: checkpoint(),
  }
}

/** The answer to one who does not wait for the end. */
export const running = ({ checkpoint, operation }: OwnerCall) => ({
  operation_id: operation,
  status: "running" as const,
  verdict: "It still runs. get_result waits for its report; kill_command ends it.",
  checkpoint: checkpoint().state === "off" ? checkpoint() : ({ state: "pending" } as const),
})

export const stateOf = ({ status }: { readonly status: typeof CheckStatus.Type }) =>
  status === "timed_out" || status === "cancelled" ? status : "succeeded"

/** `3 errors and 1 warning by ruff; eslint passed`. */
const verdictOf = (runs: ReadonlyArray<CheckerRun>) => {
  const parts = runs.map(({ checker, findings, status }) => {
    const counts = (["error", "warning"] as const).flatMap((severity) => {
      const number = count(findings, severity)
      return number === 0 ? [] : [`${number} ${severity}${number === 1 ? "" : "s"}`]
    })
    const found = counts.length === 0 ? "" : ` (${counts.join(", ")})`
    return `${checker} ${words[status]}${found}`
  })
  return `${runs.every(({ status }) => status === "passed") ? "PASSED" : "FAILED"}: ${parts.join("; ")}`
}

const words = {
  passed: "passed",
  failed: "failed",
  broken: "did not work",
  not_installed: "is not installed",
  timed_out: "ran out of time",
  cancelled: "was cancelled",
}

const summaryOf =
  (room: Room) =>
  ({ checker, command, durationMs, exitCode, findings, output, status }: CheckerRun) => ({
    checker,
    command,
    status,
    ...(exitCode === undefined ? {} : { exit_code: exitCode }),
    duration_ms: durationMs,
    errors: count(findings, "error"),
    warnings: count(findings, "warning"),
    ...(output !== "" && room.takes(output) ? { output } : {}),
  })

const order = { error: 0, warning: 1, info: 2 }
const bySeverity = (a: Finding, b: Finding) => order[a.severity] - order[b.severity]

/** Characters of the findings and output of one answer, so that it stays below what clients pass on to a model. */
const answerLimit = 28_000
