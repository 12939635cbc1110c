/** A session is one principal's workspace and sandbox, addressed by its id. */
import { Schema } from "effect"
import { SessionId } from "./Identity.ts"

/** A name that a principal gives a session, to come back to it: 1 to 64 letters, digits, `.`, `_` and `-`. */
export const SessionName = Schema.String.pipe(
  Schema.pattern(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
  Schema.brand("SessionName"),
)
export type SessionName = typeof SessionName.Type

/** What ends a session by itself: the connection it was made for, or time without calls. A named one stays. */
export const Lifetime = Schema.Literal("connection", "unnamed", "named")
export type Lifetime = typeof Lifetime.Type

/** A session as its principal sees it. */
export const SessionSummary = Schema.Struct({
  id: SessionId,
  name: Schema.NullOr(SessionName),
  /** The kind of its sandbox. */
  template: Schema.String,
  /** Milliseconds since 1970, by the database's clock. */
  createdAt: Schema.Number,
  activeAt: Schema.Number,
})
export type SessionSummary = typeof SessionSummary.Type
