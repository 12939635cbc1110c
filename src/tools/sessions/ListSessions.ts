/** Lists the principal's sessions. */
import { Effect, Schema } from "effect"
import { edgeTool } from "../Tool.ts"

export const listSessions = edgeTool({
  name: "list_sessions",
  title: "List sessions",
  description: "List your open sessions. `current` is the one that calls without `session_id` use, if any.",
  input: Schema.Struct({}),
  output: Schema.Struct({
    sessions: Schema.Array(
      Schema.Struct({
        session_id: Schema.String,
        name: Schema.NullOr(Schema.String),
        current: Schema.Boolean,
        created_at: Schema.String,
        active_at: Schema.String.annotations({
          description: "Time of the last use, to about half a minute.",
        }),
      }),
    ),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  needsNoSession: true,
  handler: Effect.fn("tools.list_sessions")(function* (_, { principal, session, directory }) {
    const sessions = yield* directory.list(principal)
    return {
      sessions: sessions.map(({ id, name, createdAt, activeAt }) => ({
        session_id: id,
        name,
        current: id === session,
        created_at: new Date(createdAt).toISOString(),
        active_at: new Date(activeAt).toISOString(),
      })),
    }
  }),
})
