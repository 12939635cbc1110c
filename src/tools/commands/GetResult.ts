/** The answer of an earlier call of the session, for one who did not wait for its end, or lost it. */
import { Effect, Option, Schema } from "effect"
import { Failure } from "../../domain/Failure.ts"
import { OperationId } from "../../domain/Identity.ts"
import { defaultWaitMs, optional, ownerTool, WaitMs } from "../Tool.ts"

export const getResult = ownerTool({
  name: "get_result",
  title: "Get the result of a call",
  description:
    "Get the answer of an earlier call that answered `running`, by its `operation_id`. Waits up to `wait_ms` for its " +
    "end; call again while `status` is `running`. For what a command wrote meanwhile there is read_output.",
  input: Schema.Struct({
    operation_id: OperationId.annotations({ description: "The `operation_id` of the earlier answer." }),
    wait_ms: optional(
      WaitMs.annotations({
        description: `Time to wait for the end, in milliseconds; ${defaultWaitMs} otherwise.`,
      }),
    ),
  }),
  output: Schema.Struct({
    operation_id: OperationId.annotations({}),
    status: Schema.Literal("running", "succeeded", "failed", "timed_out", "cancelled", "interrupted"),
    result: Schema.optional(
      Schema.Record({ key: Schema.String, value: Schema.Unknown }).annotations({
        jsonSchema: { type: "object", description: "What the call answers at its end." },
      }),
    ),
    failure: Schema.optional(Failure),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  changes: false,
  handler: Effect.fnUntraced(function* ({ operation_id, wait_ms = defaultWaitMs }, call) {
    const waited = yield* Effect.timeoutOption(call.endOf(operation_id), wait_ms)
    if (Option.isNone(waited)) return { operation_id, status: "running" as const }
    const outcome = waited.value
    if (outcome === undefined) return yield* new NoSuchOperation({ operation: operation_id })
    const shown = outcome._tag === "Answered" ? (outcome.content ?? []) : []
    for (const part of shown) if (part.type === "image") call.show(part)
    return outcome._tag === "Answered"
      ? { operation_id, status: outcome.state, result: outcome.output as Readonly<Record<string, unknown>> }
      : { operation_id, status: outcome.state, failure: outcome.failure }
  }),
})

/** Nothing is recorded of it: it was a reading call, or of another session, or long ago. */
class NoSuchOperation extends Schema.TaggedError<NoSuchOperation>()("NoSuchOperation", {
  operation: OperationId,
}) {
  override get message() {
    return `Nothing is known of an operation ${this.operation} in this session.`
  }
  readonly next = "Give the operation_id of an answer of this session that was `running`."
}
