/** What an operation says while it runs, who is told, and what that client may answer. */
import { Schema } from "effect"
import { ConnectionId } from "./Identity.ts"

const Token = Schema.Union(Schema.String, Schema.Number)

/** By weight. (MCP 2025-11-25, "Logging"; RFC 5424.) */
export const LogLevel = Schema.Literal(
  "debug",
  "info",
  "notice",
  "warning",
  "error",
  "critical",
  "alert",
  "emergency",
)
export type LogLevel = typeof LogLevel.Type

/** Whether something of `level` is to be told to one who wants to know of `least` and what weighs more. */
export const weighs = (level: LogLevel, least: LogLevel) =>
  LogLevel.literals.indexOf(level) >= LogLevel.literals.indexOf(least)

/** What a client can be asked: its user, for input; or its model, for a completion. */
export const QuestionKind = Schema.Literal("elicitation", "sampling")
export type QuestionKind = typeof QuestionKind.Type

/** The JSON-RPC request that an operation answers, and what its client takes on the way. */
export const Origin = Schema.Struct({
  connection: ConnectionId,
  request: Token,
  /** Under which its client wants to be told of progress, if it does. */
  progress: Schema.optional(Token),
  /** The least weight of what its client's log shows, if it shows anything. */
  log: Schema.optional(LogLevel),
  questions: Schema.optional(Schema.Array(QuestionKind)),
})
export type Origin = typeof Origin.Type

/** A piece of what came of the operation so far. */
const Progress = Schema.Struct({
  /** Grows with every event: bytes of a command's output. */
  progress: Schema.Number,
  /** What `progress` comes to, where that is known. */
  total: Schema.optional(Schema.Number),
  message: Schema.optional(Schema.String),
})
export type Progress = typeof Progress.Type

/** A question for the client; its number is that of its event. */
const Question = Schema.Struct({
  kind: QuestionKind,
  /** As the protocol has them for `elicitation/create` or `sampling/createMessage`. */
  params: Schema.Record({ key: Schema.String, value: Schema.Unknown }),
})
export type Question = typeof Question.Type

/** What a client says to a question. */
export const QuestionReply = Schema.Union(
  Schema.TaggedStruct("Answer", { result: Schema.Unknown }),
  Schema.TaggedStruct("Refusal", { message: Schema.String }),
)
export type QuestionReply = typeof QuestionReply.Type

export const OperationEvent = Schema.Union(
  Schema.TaggedStruct("Progress", Progress.fields),
  Schema.TaggedStruct("Log", { level: LogLevel, data: Schema.Unknown }),
  Schema.TaggedStruct("Question", Question.fields),
)
export type OperationEvent = typeof OperationEvent.Type

/** Events count from 1. */
export const NumberedEvent = Schema.Struct({ seq: Schema.Int, event: OperationEvent })
export type NumberedEvent = typeof NumberedEvent.Type
