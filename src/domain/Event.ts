/** What an operation says while it runs, and who is told. */
import { Schema } from "effect"
import { ConnectionId } from "./Identity.ts"

const Token = Schema.Union(Schema.String, Schema.Number)

/** The JSON-RPC request that an operation answers. */
export const Origin = Schema.Struct({
  connection: ConnectionId,
  request: Token,
  /** Under which its client wants to be told of progress, if it does. */
  progress: Schema.optional(Token),
})
export type Origin = typeof Origin.Type

/** A piece of what came of the operation so far. */
export const OperationEvent = Schema.Struct({
  /** Grows with every event: bytes of a command's output. */
  progress: Schema.Number,
  message: Schema.String,
})
export type OperationEvent = typeof OperationEvent.Type

/** Events count from 1. */
export const NumberedEvent = Schema.Struct({ seq: Schema.Int, ...OperationEvent.fields })
export type NumberedEvent = typeof NumberedEvent.Type
