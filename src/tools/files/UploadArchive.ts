/** Brings a whole project into the workspace: in the call, or by a URL to send it to. */
import { Effect, Encoding, Either, Schema, Stream } from "effect"
import { ObjectId } from "../../domain/Identity.ts"
import { FileError } from "../../domain/SandboxError.ts"
import { absolute, CheckpointState, optional, type OwnerCall, ownerTool, WorkspacePath } from "../Tool.ts"

/** Entries of one archive. */
const maxEntries = 100_000

const Skipped = Schema.Array(Schema.Struct({ path: Schema.String, reason: Schema.String })).annotations({
  description:
    "The first entries left out: for a `path` or a `link` that leads out of the folder, a `kind` that is no file, folder or link, or a folder or link `in_the_way`.",
})

const counts = {
  path: Schema.String.annotations({ description: "The folder." }),
  files: Schema.Number,
  folders: Schema.Number,
  links: Schema.Number,
  bytes: Schema.Number,
  skipped: Skipped,
  skipped_count: Schema.Number,
}

export const uploadArchive = ownerTool({
  name: "upload_archive",
  title: "Upload an archive",
  description:
    "Unpack a project (tar.gz, tar or zip) into the workspace. Small ones come as `content`; without it, answers an " +
    "`upload_url` that takes one archive by HTTP PUT (`curl -T project.tar.gz URL`), unpacks it and answers the same counts. " +
    "Files that exist are replaced; nothing is put outside the folder.",
  input: Schema.Struct({
    path: optional(
      WorkspacePath.annotations({ description: "Folder to unpack into; /workspace otherwise." }),
    ),
    content: optional(Schema.String.annotations({ description: "The archive in base64." })),
  }),
  output: Schema.Struct({
    path: counts.path,
    files: Schema.optional(counts.files),
    folders: Schema.optional(counts.folders),
    links: Schema.optional(counts.links),
    bytes: Schema.optional(counts.bytes),
    skipped: Schema.optional(counts.skipped),
    skipped_count: Schema.optional(counts.skipped_count),
    upload_url: Schema.optional(Schema.String),
    expires_at: Schema.optional(Schema.String.annotations({ description: "When the URL ends." })),
    max_bytes: Schema.optional(Schema.Number.annotations({ description: "Of the archive." })),
    checkpoint: CheckpointState,
  }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  changes: true,
  handler: Effect.fnUntraced(function* ({ path = ".", content }, call) {
    const { base, checkpoint, limits, objects, session } = call
    if (content === undefined) {
      const { expires, url } = yield* objects.uploadUrl(session.id, path, base)
      return {
        path,
        upload_url: url,
        expires_at: new Date(expires).toISOString(),
        max_bytes: objects.limit,
        checkpoint: checkpoint(),
      }
    }
    const archive = Encoding.decodeBase64(content)
    if (Either.isLeft(archive)) return yield* new InvalidArchive()
    if (archive.right.length > limits.file) return yield* new FileError({ path, reason: "too_large" })
    const { files } = yield* call.sandbox
    return yield* files.exclusively(unpack(path, Stream.make(archive.right), call))
  }),
})

/**
 * Unpacks what was sent to a URL: what a node asks the session's owner for, and no client. Edits do not wait for it, for
 * it may be large, and comes out of the store as fast as that gives it.
 */
export const unpackUpload = ownerTool({
  name: "unpack_upload",
  title: "",
  description: "",
  input: Schema.Struct({ object: ObjectId, path: Schema.String }),
  output: Schema.Struct({ ...counts, checkpoint: CheckpointState }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },
  changes: true,
  handler: Effect.fnUntraced(function* ({ object, path }, call) {
    const { objects, principal, session } = call
    const archive = yield* objects.upload(session.id, object)
    return yield* unpack(path, objects.contents(archive), call).pipe(
      Effect.ensuring(Effect.ignore(objects.remove(principal, object))),
    )
  }),
})

const unpack = Effect.fnUntraced(function* <E>(
  path: string,
  archive: Stream.Stream<Uint8Array, E>,
  { checkpoint, sandbox, template }: OwnerCall,
) {
  const query = { path: absolute(path), maxEntries, maxBytes: template.workspace }
  const { skippedCount, ...done } = yield* (yield* sandbox).files.unpack(query, archive)
  return { path, ...done, skipped_count: skippedCount, checkpoint: checkpoint() }
})

class InvalidArchive extends Schema.TaggedError<InvalidArchive>()("InvalidContent", {}) {
  override get message() {
    return "The content is not base64."
  }
  readonly next = "Encode the archive as base64, or leave `content` out and send it to the URL."
}
