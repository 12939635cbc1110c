/** Takes a whole folder out of the workspace: in the answer where it is small, and by a URL. */
import { Effect, Schema, Stream } from "effect"
import type { PackReply } from "../../agent/archive/ArchiveProtocol.ts"
import { absolute, optional, ownerTool, WorkspacePath } from "../Tool.ts"

/** Bytes of an archive that stands in the answer. */
const inlineLimit = 24_000

/** Entries of one archive: what a zip can list. */
const maxEntries = 65_000

const excluded = [".git", "node_modules", ".venv", "__pycache__"]

export const downloadArchive = ownerTool({
  name: "download_archive",
  title: "Download an archive",
  description:
    "Pack a folder of the workspace as it is now. Answers a signed `url` to fetch the archive by HTTP GET, without a token, " +
    `and up to ${inlineLimit} bytes also as \`content\`. Each call ends the URL of the one before.`,
  input: Schema.Struct({
    path: optional(WorkspacePath.annotations({ description: "Folder to pack; /workspace otherwise." })),
    format: optional(Schema.Literal("tar.gz", "zip").annotations({ description: "tar.gz otherwise." })),
    exclude: optional(
      Schema.Array(Schema.String.pipe(Schema.maxLength(255)))
        .pipe(Schema.maxItems(100))
        .annotations({
          description: `Names to leave out, at any depth; ${excluded.join(", ")} otherwise.`,
        }),
    ),
  }),
  output: Schema.Struct({
    name: Schema.String,
    size: Schema.Number.annotations({ description: "Of the archive, in bytes." }),
    sha256: Schema.String,
    url: Schema.String,
    expires_at: Schema.String.annotations({ description: "When the URL ends." }),
    files: Schema.Number,
    folders: Schema.Number,
    links: Schema.Number,
    left_out: Schema.Number.annotations({
      description: "Entries that are no files or folders, cannot be read, or are links out of the folder.",
    }),
    excluded: Schema.Array(Schema.String),
    content: Schema.optional(Schema.String.annotations({ description: "The archive in base64." })),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  changes: false,
  handler: Effect.fnUntraced(function* ({ path = ".", format = "tar.gz", exclude = excluded }, call) {
    const { base, objects, principal, sandbox, session } = call
    const { files } = yield* sandbox
    let counts: typeof PackReply.Type | undefined
    const begin: Array<Uint8Array> = []
    let size = 0
    const archive = files
      .pack({ path: absolute(path), format, exclude, maxEntries }, (reply) => (counts = reply))
      .pipe(
        Stream.tap((chunk) =>
          Effect.sync(() => {
            size += chunk.length
            if (size <= inlineLimit) begin.push(chunk)
          }),
        ),
      )
    const name = `${nameOf(path)}.${format}`
    const object = yield* objects.save(
      {
        principal,
        session: session.id,
        epoch: session.epoch,
        kind: "archive",
        name,
        mime: format === "zip" ? "application/zip" : "application/gzip",
      },
      archive,
    )
    const { expires, url } = yield* objects.url(object, base)
    const { left = 0, files: packed = 0, folders = 0, links = 0 } = counts ?? {}
    return {
      name,
      size: object.size,
      sha256: object.sha256,
      url,
      expires_at: new Date(expires).toISOString(),
      files: packed,
      folders,
      links,
      left_out: left,
      excluded: exclude,
      ...(size <= inlineLimit ? { content: Buffer.concat(begin).toString("base64") } : {}),
    }
  }),
})

/** The folder's own, as a name of a file: whole characters, and such as a URL takes. */
const nameOf = (path: string) => {
  const folder = path.replace(/\/+$/, "").split("/").at(-1) ?? ""
  return /^\.*$/.test(folder) ? "workspace" : [...folder.replace(/\p{Cs}/gu, "\ufffd")].slice(0, 100).join("")
}
