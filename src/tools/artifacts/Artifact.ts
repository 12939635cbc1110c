/** An artifact as answers show it. */
import { Schema } from "effect"
import mime from "mime/lite"
import type { Content } from "../../domain/Content.ts"
import type { StoredObject } from "../../workspace/Objects.ts"

export const Artifact = Schema.Struct({
  artifact_id: Schema.String,
  name: Schema.String,
  mime_type: Schema.String,
  size: Schema.Number.annotations({ description: "In bytes." }),
  sha256: Schema.String,
  session_id: Schema.String,
  created_at: Schema.String,
  kept_until: Schema.NullOr(Schema.String).annotations({
    description: "Null while its session is open; from its end on for a set time.",
  }),
})

/** As callers give it; whose it is, and whether it is one, its row says. */
export const ArtifactId = Schema.String.pipe(Schema.maxLength(100)).annotations({
  description: "As save_artifact or list_artifacts answered it.",
})

/** With a URL to fetch it by. */
export const Linked = {
  ...Artifact.fields,
  url: Schema.String.annotations({ description: "Fetches it by HTTP GET, without a token." }),
  url_expires_at: Schema.String,
}

export const shown = (object: StoredObject): typeof Artifact.Type => ({
  artifact_id: object.id,
  name: object.name,
  mime_type: object.mime,
  size: object.size,
  sha256: object.sha256,
  session_id: object.session,
  created_at: new Date(object.createdAt).toISOString(),
  kept_until: object.expiresAt === null ? null : new Date(object.expiresAt).toISOString(),
})

/** All facts as text, for clients that show nothing else, and a link. */
export const linkedContent = (
  output: Schema.Struct.Type<typeof Linked> & { readonly text?: string | undefined },
): ReadonlyArray<Content> => [
  { type: "text", text: JSON.stringify(output) },
  {
    type: "resource_link",
    uri: output.url,
    name: output.name,
    mimeType: output.mime_type,
    size: output.size,
  },
]

/** By the name's ending. */
export const mimeOf = (name: string) => mime.getType(name) ?? "application/octet-stream"

/** `type/subtype`, as RFC 6838 lets them be. */
export const MimeType = Schema.String.pipe(
  Schema.pattern(/^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,63}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,63}$/),
)

/** A name as it stands in a listing, and at the end of a URL. */
export const ArtifactName = Schema.String.pipe(
  Schema.filter(
    (name) => !/[/\p{Cc}\p{Surrogate}]/u.test(name) || "must be a name without `/`, in plain text",
  ),
  Schema.minLength(1),
  Schema.maxLength(200),
).annotations({ description: "The file's own name otherwise." })
