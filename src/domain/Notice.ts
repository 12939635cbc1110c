/** What a client is to hear beside the answers to its requests. */
import { Schema } from "effect"

export const Notice = Schema.Union(
  /** A resource that it subscribed to has changed, or may have. */
  Schema.TaggedStruct("Updated", { uri: Schema.String }),
  /** A message that the client itself sent, for the node that holds its stream to answer (HTTP+SSE of 2024-11-05). */
  Schema.TaggedStruct("Posted", { message: Schema.Unknown }),
)
export type Notice = typeof Notice.Type

/** What came for a listener since it last asked. */
export const Notices = Schema.Struct({
  /** In order, each with its number. */
  notices: Schema.Array(Schema.Struct({ seq: Schema.Int, notice: Notice })),
  /** The number to go on after. */
  last: Schema.Int,
  /** Another stream of the connection has begun since: this one ends. */
  displaced: Schema.Boolean,
})
export type Notices = typeof Notices.Type
