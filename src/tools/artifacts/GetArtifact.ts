/** One artifact: what is known of it, and how to have it. */
import { Effect, Schema, Stream } from "effect"
import { textOf } from "../Text.ts"
import { edgeTool } from "../Tool.ts"
import { ArtifactId, Linked, linkedContent, shown } from "./Artifact.ts"

/** Bytes of text that stand in the answer, and characters that they may take there. */
const textLimit = 16_000
const answerLimit = 18_000

export const getArtifact = edgeTool({
  name: "get_artifact",
  title: "Get an artifact",
  description:
    "Answers an artifact's facts and a signed URL to fetch it by, without a token; a text of up to " +
    `${textLimit} bytes also as \`text\`. A URL ends with its session; asked for later, it ends at \`url_expires_at\`.`,
  input: Schema.Struct({
    artifact_id: ArtifactId,
  }),
  output: Schema.Struct({ ...Linked, text: Schema.optional(Schema.String) }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  needsNoSession: true,
  content: linkedContent,
  handler: Effect.fn("tools.get_artifact")(function* ({ artifact_id }, { base, objects, principal }) {
    const object = yield* objects.artifact(principal, artifact_id)
    const { expires, url } = yield* objects.url(object, base)
    const chunks = object.size > textLimit ? [] : yield* Stream.runCollect(objects.contents(object))
    const text = object.size > textLimit ? undefined : textOf(Buffer.concat([...chunks]))
    return {
      ...shown(object),
      url,
      url_expires_at: new Date(expires).toISOString(),
      ...(text !== undefined && JSON.stringify(text).length <= answerLimit ? { text } : {}),
    }
  }),
})
