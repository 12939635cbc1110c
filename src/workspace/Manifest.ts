/**
 * What a checkpoint says of the session's files. It stands on the one before: a list of changes, in order, the first of
 * a row being all files that there are. The contents are named by their hashes, piece by piece.
 */
import { Schema } from "effect"
import { promisify } from "node:util"
import { gunzip, gzip } from "node:zlib"

/** Bytes of a file that are saved and named together; the last piece of a file is shorter. */
export const pieceSize = 1024 * 1024

/** Of all kinds; a workspace that holds more is not saved. */
export const maxEntries = 250_000

/** SHA-256, in hex. */
export const PieceHash = Schema.String.pipe(Schema.pattern(/^[0-9a-f]{64}$/), Schema.brand("PieceHash"))
export type PieceHash = typeof PieceHash.Type

const Path = Schema.String.pipe(Schema.maxLength(16_384))

export const Change = Schema.Union(
  Schema.Struct({
    kind: Schema.Literal("file"),
    path: Path,
    /** Permission bits. */
    mode: Schema.Int,
    /** In milliseconds since 1970. */
    modified: Schema.Number,
    /** In bytes. */
    size: Schema.NonNegative,
    /** In order; null for a piece that is all zeros. */
    pieces: Schema.Array(Schema.NullOr(PieceHash)),
  }),
  Schema.Struct({ kind: Schema.Literal("directory"), path: Path, mode: Schema.Int }),
  Schema.Struct({ kind: Schema.Literal("link"), path: Path, target: Path }),
  /** What stood there is gone, with all below it. */
  Schema.Struct({ kind: Schema.Literal("gone"), path: Path }),
)
export type Change = typeof Change.Type
export type Entry = Exclude<Change, { readonly kind: "gone" }>
export type FileEntry = Extract<Change, { readonly kind: "file" }>

/** Files by their paths. */
export type Manifest = ReadonlyMap<string, Entry>

const Changes = Schema.parseJson(Schema.Array(Change))
const decode = Schema.decodeUnknown(Changes)

export const encodeChanges = (changes: ReadonlyArray<Change>) =>
  promisify(gzip)(JSON.stringify(changes), { level: 1 })

export const decodeChanges = async (stored: Uint8Array) =>
  decode((await promisify(gunzip)(stored)).toString())

/** What there is after all changes, one list after the other. */
export const manifestOf = (lists: ReadonlyArray<ReadonlyArray<Change>>): Manifest => {
  const manifest = new Map<string, Entry>()
  for (const list of lists) {
    for (const change of list) {
      // Nothing is below what is no folder.
      if (change.kind !== "directory" && manifest.get(change.path)?.kind === "directory") {
        const below = `${change.path}/`
        for (const path of manifest.keys()) if (path.startsWith(below)) manifest.delete(path)
      }
      if (change.kind === "gone") manifest.delete(change.path)
      else manifest.set(change.path, change)
    }
  }
  return manifest
}

/** The hashes that changes name, each once. */
export const piecesOf = (changes: Iterable<Change>): ReadonlySet<PieceHash> => {
  const hashes = new Set<PieceHash>()
  for (const change of changes) {
    if (change.kind === "file") for (const hash of change.pieces) if (hash !== null) hashes.add(hash)
  }
  return hashes
}
