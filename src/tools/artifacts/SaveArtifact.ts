/** Keeps a file of the workspace beyond its session. */
import { Effect, Option, Schema } from "effect"
import { absolute, optional, ownerTool, WorkspacePath } from "../Tool.ts"
import { ArtifactName, Linked, linkedContent, mimeOf, MimeType, shown } from "./Artifact.ts"

export const saveArtifact = ownerTool({
  name: "save_artifact",
  title: "Save an artifact",
  description:
    "Keep a copy of a file of the workspace, such as a report or a build. It outlives sandbox and session for a set time; " +
    "get_artifact gives it back.",
  input: Schema.Struct({
    path: WorkspacePath,
    name: optional(ArtifactName),
    mime_type: optional(MimeType.annotations({ description: "By the name otherwise." })),
  }),
  output: Schema.Struct(Linked),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  changes: true,
  content: linkedContent,
  handler: Effect.fnUntraced(function* ({ path, name: given, mime_type }, call) {
    const { base, objects, principal, sandbox, session } = call
    const { files } = yield* sandbox
    const own = Option.getOrElse(
      decodeName(path.replace(/\/+$/, "").split("/").at(-1) ?? ""),
      () => "artifact",
    )
    const name = given ?? own
    const object = yield* objects.save(
      {
        principal,
        session: session.id,
        epoch: session.epoch,
        kind: "artifact",
        name,
        mime: mime_type ?? mimeOf(name),
      },
      files.stream(absolute(path), 0, objects.limit + 1),
    )
    const { expires, url } = yield* objects.url(object, base)
    return { ...shown(object), url, url_expires_at: new Date(expires).toISOString() }
  }),
})

const decodeName = Schema.decodeOption(ArtifactName)
