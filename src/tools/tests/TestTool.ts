/** What all tools that run tests have in common. */
import { Effect, Schema } from "effect"
import { OperationId } from "../../domain/Identity.ts"
import { cancelCommand, TimeoutMs } from "../commands/ToolCommand.ts"
import { CheckpointState, defaultWaitMs, optional, type OwnerCall, WaitMs } from "../Tool.ts"
import { reportFields, shown } from "./TestAnswer.ts"
import type { TestReport } from "./TestReport.ts"

export const runArguments = {
  wait_ms: optional(
    WaitMs.annotations({
      description:
        `Time to wait for the end, in milliseconds; ${defaultWaitMs} otherwise. Tests that take longer go on: ` +
        "get_result has their report.",
    }),
  ),
  timeout_ms: TimeoutMs,
}

const output = Schema.Struct({
  operation_id: OperationId.annotations({ description: "For get_result and read_output." }),
  status: Schema.Literal("finished", "running", "timed_out", "cancelled").annotations({
    description: "`running`: it goes on; call get_result.",
  }),
  ...reportFields,
  checkpoint: CheckpointState,
})

export const answerOf = (
  report: TestReport,
  { checkpoint, operation }: Pick<OwnerCall, "checkpoint" | "operation">,
) => ({
  operation_id: operation,
  status: report.status,
  ...shown(report, answerLimit),
  checkpoint: checkpoint(),
})

/** Of tests that still run. */
const running = ({ checkpoint, operation, commands }: OwnerCall) => {
  const startedAt = commands.find(operation)?.startedAt ?? Date.now()
  const state = checkpoint()
  return {
    operation_id: operation,
    status: "running" as const,
    verdict: "The tests still run.",
    duration_ms: Math.max(0, Date.now() - startedAt),
    failures: [],
    errors: [],
    note: "Wait for the report with get_result; read_output shows what they write, kill_command ends them.",
    checkpoint: state.state === "off" ? state : { state: "pending" as const },
  }
}

export const testTool = {
  output,
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true },
  changes: true,
  stateOf: ({ status }: typeof output.Type) =>
    status === "timed_out" || status === "cancelled" ? status : ("succeeded" as const),
  cancel: cancelCommand,
  partial: {
    waitMs: ({ wait_ms = defaultWaitMs }: { readonly wait_ms?: number }) => wait_ms,
    answer: (_: unknown, call: OwnerCall) => Effect.succeed(running(call)),
  },
}

/** Characters of one answer as JSON, so that it stays below what clients pass on to a model. */
const answerLimit = 36_000
