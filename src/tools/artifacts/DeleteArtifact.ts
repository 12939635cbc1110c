/** Ends an artifact before its time. */
import { Effect, Schema } from "effect"
import { ArtifactNotFound } from "../../domain/ObjectError.ts"
import { ArtifactId } from "./Artifact.ts"
import { edgeTool } from "../Tool.ts"

export const deleteArtifact = edgeTool({
  name: "delete_artifact",
  title: "Delete an artifact",
  description: "Delete an artifact; its URLs end.",
  input: Schema.Struct({ artifact_id: ArtifactId }),
  output: Schema.Struct({ deleted: Schema.Literal(true) }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },
  needsNoSession: true,
  handler: Effect.fn("tools.delete_artifact")(function* ({ artifact_id }, { objects, principal }) {
    if (!(yield* objects.remove(principal, artifact_id)))
      return yield* new ArtifactNotFound({ id: artifact_id })
    return { deleted: true as const }
  }),
})
