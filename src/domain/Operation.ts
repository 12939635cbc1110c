/** An operation is one tool call inside a session: one id, one end. */
import { Schema } from "effect"
import { Failure } from "./Failure.ts"
import { NodeId, OperationId } from "./Identity.ts"

/** What a caller asks of a session. */
export const Operation = Schema.Struct({
  id: OperationId,
  tool: Schema.String,
  /** The tool's arguments as they came in, already found to fit its schema. */
  input: Schema.Unknown,
  /** The node whose edge took the call. */
  edgeNode: NodeId,
})
export type Operation = typeof Operation.Type

/** How an operation ended. A command that exited, with any code, succeeded. */
export const Outcome = Schema.Union(
  Schema.TaggedStruct("Answered", {
    state: Schema.Literal("succeeded", "timed_out", "cancelled"),
    /** The tool's answer, in the encoded form of its output schema. */
    output: Schema.Unknown,
  }),
  Schema.TaggedStruct("Failed", { state: Schema.Literal("failed", "interrupted"), failure: Failure }),
)
export type Outcome = typeof Outcome.Type

/** What a caller gets: the end, or `Running` where it does not wait for that, and the operation goes on. */
export const Reply = Schema.Union(Outcome, Schema.TaggedStruct("Running", { output: Schema.Unknown }))
export type Reply = typeof Reply.Type
