/** Ends a session. */
import { Effect, Schema } from "effect"
import { edgeTool, required } from "../Tool.ts"

export const closeSession = edgeTool({
  name: "close_session",
  title: "Close a session",
  description:
    "End a session, the one that `session_id` names or the current one: its processes and files are removed.",
  input: Schema.Struct({}),
  output: Schema.Struct({ session_id: Schema.String, closed: Schema.Boolean }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },
  handler: Effect.fn("tools.close_session")(function* (_, { principal, session, directory }) {
    const id = yield* required(session)
    yield* directory.close(principal, id)
    return { session_id: id, closed: true }
  }),
})
