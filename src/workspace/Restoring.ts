/** The files of a manifest as records for an agent, each piece checked by its hash. */
import { Chunk, Effect, Schema, Stream } from "effect"
import { createHash } from "node:crypto"
import { inflateRawSync } from "node:zlib"
import { headerSize, jsonRecord, Kind, recordOf } from "../agent/snapshot/Records.ts"
import { type Entry, type FileEntry, type Manifest, type PieceHash, pieceSize } from "./Manifest.ts"
import type { PackStore, StoreFailed } from "./PackStore.ts"
import type { Place } from "./Packing.ts"

/** A piece is missing in the store, or is not what was put there. */
export class PieceDamaged extends Schema.TaggedError<PieceDamaged>()("PieceDamaged", {
  hash: Schema.String,
}) {}

/** Packs that are held while files are restored. */
const heldPacks = 6

/** Bytes that are sent at a time, about. */
const batchSize = 512 * 1024

/** Bytes that are worth a write of their own. */
const large = 64 * 1024

export type Places = ReadonlyMap<PieceHash, Place>

/** Reads pieces as they were when they were kept, or not at all; quickly where those of a pack follow each other. */
export const reader = (places: Places, store: PackStore["Type"], held = heldPacks) => {
  const packs = new Map<string, Buffer>()

  const packOf = (place: Place) =>
    Effect.suspend(() => {
      const known = packs.get(place.pack)
      if (known !== undefined) return Effect.succeed(known)
      return Effect.flatMap(store.get(place.pack), (pack) => {
        if (pack === undefined) return new PieceDamaged({ hash: place.hash })
        const [oldest] = packs.keys()
        if (packs.size >= held && oldest !== undefined) packs.delete(oldest)
        packs.set(place.pack, pack)
        return Effect.succeed(pack)
      })
    })

  return Effect.fnUntraced(function* (hash: PieceHash) {
    const place = places.get(hash)
    if (place === undefined) return yield* new PieceDamaged({ hash })
    const pack = yield* packOf(place)
    const data = contentsOf(pack, place)
    return data ?? (yield* new PieceDamaged({ hash }))
  })
}

/** Files stand in the order of their packs: each is read once, as far as files do not share pieces. */
export const records = (
  manifest: Manifest,
  places: Places,
  store: PackStore["Type"],
): Stream.Stream<Uint8Array, PieceDamaged | StoreFailed> => {
  const piece = reader(places, store)

  const recordsOf = Effect.fnUntraced(function* (step: Step) {
    if (step.kind === "entry") return jsonRecord(Kind.entry, step.entry)
    if (step.kind === "end") return jsonRecord(Kind.end, { stable: true })
    if (step.hash === null) return jsonRecord(Kind.hole, { bytes: step.size })
    return recordOf(Kind.data, yield* piece(step.hash))
  })

  return Stream.fromIterable(batches(stepsOf(manifest, places))).pipe(
    Stream.mapEffect(
      Effect.fnUntraced(function* (steps) {
        const pieces: Array<Uint8Array> = []
        for (const step of steps) pieces.push(...(yield* recordsOf(step)))
        return Chunk.fromIterable(together(pieces))
      }),
    ),
    // The next ones are read and checked while these are on their way.
    Stream.buffer({ capacity: 1 }),
    Stream.flattenChunks,
  )
}

/** Small pieces as one; a large one is not copied. */
const together = function* (pieces: ReadonlyArray<Uint8Array>): Generator<Uint8Array> {
  let small: Array<Uint8Array> = []
  for (const piece of pieces) {
    if (piece.length < large) small.push(piece)
    else {
      yield Buffer.concat(small)
      yield piece
      small = []
    }
  }
  if (small.length > 0) yield Buffer.concat(small)
}

/** A piece out of its pack; undefined where it is not what was put there. */
export const contentsOf = (pack: Buffer, { hash, at, stored, deflated, size }: Place) => {
  const data = inflated(pack.subarray(at, at + stored), deflated, size)
  return data !== undefined && createHash("sha256").update(data).digest("hex") === hash ? data : undefined
}

const inflated = (stored: Buffer, deflated: boolean, size: number) => {
  if (!deflated) return stored
  try {
    return inflateRawSync(stored, { maxOutputLength: Math.max(size, 1) })
  } catch {
    return undefined
  }
}

type Step =
  | { readonly kind: "entry"; readonly entry: Omit<Entry, "pieces"> }
  | { readonly kind: "piece"; readonly hash: PieceHash | null; readonly size: number }
  | { readonly kind: "end" }

const stepsOf = function* (manifest: Manifest, places: Places): Generator<Step> {
  const files: Array<FileEntry> = []
  for (const entry of manifest.values()) {
    if (entry.kind === "file") files.push(entry)
    else yield { kind: "entry", entry }
  }
  const order = (file: FileEntry) => places.get(file.pieces[0]!)
  const ordered = files
    .map((file) => {
      const { pack = "", at = 0 } = order(file) ?? {}
      return { file, pack, at }
    })
    .sort((a, b) => (a.pack === b.pack ? a.at - b.at : a.pack < b.pack ? -1 : 1))
  for (const { file } of ordered) {
    const { pieces, ...entry } = file
    yield { kind: "entry", entry }
    for (const [index, hash] of pieces.entries()) {
      yield { kind: "piece", hash, size: Math.min(pieceSize, file.size - index * pieceSize) }
    }
    yield { kind: "end" }
  }
}

/** Steps that are sent together. */
const batches = function* (steps: Iterable<Step>): Generator<ReadonlyArray<Step>> {
  let batch: Array<Step> = []
  let bytes = 0
  for (const step of steps) {
    batch.push(step)
    bytes += step.kind === "piece" && step.hash !== null ? step.size + headerSize : 200
    if (bytes < batchSize) continue
    yield batch
    batch = []
    bytes = 0
  }
  if (batch.length > 0) yield batch
}
