/** An operation is one tool call inside a session: one id, one end. */
import { Schema } from "effect"
import { Content } from "./Content.ts"
import { Failure } from "./Failure.ts"
import { Origin } from "./Event.ts"
import { NodeId, OperationId } from "./Identity.ts"

/** What a caller asks of a session. */
export const Operation = Schema.Struct({
  id: OperationId,
  tool: Schema.String,
  /** The tool's arguments as they came in, already found to fit its schema. */
  input: Schema.Unknown,
  /** The node whose edge took the call. */
  edgeNode: NodeId,
  origin: Schema.optional(Origin),
  /** What URLs begin with that its caller can use. */
  base: Schema.optional(Schema.String),
  /** It ends with its caller's request; the caller's node says again and again that this is still open. */
  isFollowed: Schema.optional(Schema.Boolean),
  /** Milliseconds after which its caller wants to be told how it stands, where its tool can say that. */
  answerMs: Schema.optional(Schema.Number),
})
export type Operation = typeof Operation.Type

/** How an operation ended. A command that exited, with any code, succeeded. */
export const Outcome = Schema.Union(
  Schema.TaggedStruct("Answered", {
    state: Schema.Literal("succeeded", "timed_out", "cancelled"),
    /** The tool's answer, in the encoded form of its output schema. */
    output: Schema.Unknown,
    /** What a client shows, where that is not the output as JSON. */
    content: Schema.optional(Schema.Array(Content)),
  }),
  Schema.TaggedStruct("Failed", {
    state: Schema.Literal("failed", "interrupted", "cancelled"),
    failure: Failure,
  }),
)
export type Outcome = typeof Outcome.Type

/**
 * What a caller gets: the end; `Running` where it does not wait for that, and the operation goes on; `Cancelled` where
 * it wants no answer any more.
 */
export const Reply = Schema.Union(
  Outcome,
  Schema.TaggedStruct("Running", { output: Schema.Unknown }),
  Schema.TaggedStruct("Cancelled", {}),
)
export type Reply = typeof Reply.Type

/** The outcome of an operation that its caller ended. */
export const cancelled = (operation: OperationId): Outcome => ({
  _tag: "Failed",
  state: "cancelled",
  failure: {
    code: "cancelled",
    message: `Operation ${operation} was cancelled by its caller.`,
    next: "Look at the workspace (list_files), then decide whether to run it again.",
  },
})
