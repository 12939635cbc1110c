/** What a client is to hear beside the answers to its requests. */
import { Schema } from "effect"
import { ContainerId } from "./Identity.ts"

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

/** Up to where the changes of files are known, in which container. */
export const Watched = Schema.Struct({ container: ContainerId, cursor: Schema.String })
export type Watched = typeof Watched.Type

/** Resources that have changed, or may have, and the place to go on from. */
export const Changes = Schema.Struct({
  uris: Schema.Array(Schema.String),
  /** Null where there is no sandbox yet. */
  watched: Schema.NullOr(Watched),
})
export type Changes = typeof Changes.Type
