/** What a node asks an agent of archives, and the answers; `files/FileProtocol.ts` says how. */
import { Schema } from "effect"

/**
 * What is below a folder as an archive, on the channel: files, folders, and links that stay below it. What has one of
 * the names is left out, at any depth.
 */
export interface Pack {
  readonly op: "pack"
  readonly path: string
  readonly format: "tar.gz" | "zip"
  readonly exclude: ReadonlyArray<string>
  readonly maxEntries: number
}

/**
 * Makes files below a folder of the archive that comes on the channel: tar, also compressed by gzip, or zip. Nothing is
 * made outside of that folder, and only what is asked for here: files, folders, and links that stay below it. Files that
 * are there are replaced. Past its bounds it ends, and what was made until then stays.
 */
export interface Unpack {
  readonly op: "unpack"
  readonly path: string
  readonly maxEntries: number
  /** Of all that the archive holds. */
  readonly maxBytes: number
}

const Count = Schema.NonNegativeInt
const ofArchive = { files: Count, folders: Count, links: Count, bytes: Count }

export const PackReply = Schema.Struct({
  ...ofArchive,
  /** Entries that are no files, folders or links that stay below, or could not be read. */
  left: Count,
})

export const UnpackReply = Schema.Struct({
  ...ofArchive,
  skippedCount: Count,
  /** The first that were left out: for their path, for where a link leads, for what they are, or for what was there. */
  skipped: Schema.Array(
    Schema.Struct({
      path: Schema.String.pipe(Schema.maxLength(200)),
      reason: Schema.Literal("path", "link", "kind", "in_the_way"),
    }),
  ).pipe(Schema.maxItems(20)),
})
