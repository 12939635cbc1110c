/** What a session's entity answers. Callers use `Sessions`, which knows what to repeat and what not. */
import { ClusterSchema, Entity } from "@effect/cluster"
import { Rpc } from "@effect/rpc"
import { Schema } from "effect"
import { NumberedEvent, Origin, QuestionReply } from "../domain/Event.ts"
import { ConnectionId, OperationId, SessionId } from "../domain/Identity.ts"
import { Changes, Notices, Watched } from "../domain/Notice.ts"
import { Operation, Reply } from "../domain/Operation.ts"
import { SessionError } from "../domain/SessionError.ts"

/** What came since the last page. */
const Page = Schema.Struct({
  events: Schema.Array(NumberedEvent),
  /** Null: ask again. */
  reply: Schema.NullOr(Reply),
})

/** A page for one who takes a request up again, on whatever node. */
const Resumed = Schema.Union(
  Schema.TaggedStruct("Here", { ...Page.fields, origin: Origin }),
  /** The request is for another session. */
  Schema.TaggedStruct("Elsewhere", { session: SessionId }),
  Schema.TaggedStruct("Unknown", {}),
)
export type Resumed = typeof Resumed.Type

/** A payload that is checked as it is encoded: the client would check a struct once more before. */
const payload = <Fields extends Schema.Struct.Fields>(fields: Fields) =>
  Schema.make<Schema.Struct.Type<Fields>, Schema.Struct.Encoded<Fields>, Schema.Struct.Context<Fields>>(
    Schema.Struct(fields).ast,
  )

/** How long an answer may be waited for, in milliseconds: short, so that no call holds a move up. */
const WaitMs = Schema.Int.pipe(Schema.between(0, 10_000))

/** The events after one (null for none), and the end. */
const wait = { after: Schema.NullOr(Schema.Int), waitMs: WaitMs }

export const SessionEntity = Entity.make("Session", [
  /** Begins an operation, or joins the one of its id. */
  Rpc.make("Run", {
    payload: payload({ operation: Operation, ...wait }),
    success: Page,
    error: SessionError,
  }),
  /** Goes on with an operation. `SessionMoved` says that this owner does not know it: run it again. */
  Rpc.make("Read", {
    payload: payload({ operation: OperationId, ...wait }),
    success: Page,
    error: SessionError,
  }),
  /** Says that an operation is still waited for that ends with its caller. */
  Rpc.make("Follow", { payload: payload({ operation: OperationId }) }),
  /**
   * Takes a request of the session's own connection up again, after an event that its client has; `as` another one, if
   * that is given.
   */
  Rpc.make("Resume", {
    payload: payload({
      connection: ConnectionId,
      operation: OperationId,
      as: Schema.optional(Origin.fields.request),
      ...wait,
    }),
    success: Resumed,
    error: SessionError,
  }),
  /** Cancels what runs for a request of the session's own connection; answers with the session where that is another. */
  Rpc.make("Cancel", {
    payload: payload({ connection: ConnectionId, request: Origin.fields.request }),
    success: Schema.NullOr(SessionId),
    error: SessionError,
  }),
  /** Gives a client's reply to a question of its request; answers with the session where that is another. */
  Rpc.make("Answer", {
    payload: payload({
      connection: ConnectionId,
      operation: OperationId,
      question: Schema.Int,
      reply: QuestionReply,
    }),
    success: Schema.NullOr(SessionId),
    error: SessionError,
  }),
  /** Notes that a request of the session's own connection is for another session. */
  Rpc.make("Note", { payload: payload({ origin: Origin, operation: OperationId, session: SessionId }) }),
  /** What came for the stream of the session's own connection. */
  Rpc.make("Listen", {
    payload: payload({
      connection: ConnectionId,
      listener: Schema.String,
      begins: Schema.Boolean,
      after: Schema.NullOr(Schema.Int),
      takesPosts: Schema.Boolean,
      waitMs: WaitMs,
    }),
    success: Notices,
    error: SessionError,
  }),
  /** The row of the session's own connection has other subscriptions now. */
  Rpc.make("Subscribe", { payload: payload({ connection: ConnectionId }), error: SessionError }),
  /** Takes a message of the session's own connection, once by its name, for the node that holds its stream, if any. */
  Rpc.make("Post", {
    payload: payload({ connection: ConnectionId, name: Schema.String, message: Schema.Unknown }),
    success: Schema.Boolean,
    error: SessionError,
  }),
  /** Which of some resources have changed since the place that was answered last; from now on where it `begins`. */
  Rpc.make("Changes", {
    payload: payload({
      uris: Schema.Array(Schema.String),
      begins: Schema.Boolean,
      watched: Schema.NullOr(Watched),
      waitMs: WaitMs,
    }),
    success: Changes,
    error: SessionError,
  }),
  /** Ends what the owner holds for a session whose row is closed. */
  Rpc.make("Release", { success: Schema.Void }),
])
  // Nobody collects spans, and each would take part of a call's time.
  .annotate(ClusterSchema.ClientTracingEnabled, false)
