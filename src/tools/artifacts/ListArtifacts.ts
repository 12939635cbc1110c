/** The artifacts of the caller. */
import { Effect, Schema } from "effect"
import { edgeTool } from "../Tool.ts"
import { Artifact, shown } from "./Artifact.ts"

/** Of one answer. */
const limit = 80

export const listArtifacts = edgeTool({
  name: "list_artifacts",
  title: "List artifacts",
  description: `List your artifacts of all sessions, also of those that have ended; the newest ${limit}.`,
  input: Schema.Struct({}),
  output: Schema.Struct({
    artifacts: Schema.Array(Artifact),
    truncated: Schema.Boolean.annotations({ description: "There are older ones." }),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  needsNoSession: true,
  handler: Effect.fn("tools.list_artifacts")(function* (_, { objects, principal }) {
    const found = yield* objects.list(principal, limit + 1)
    return { artifacts: found.slice(0, limit).map(shown), truncated: found.length > limit }
  }),
})
