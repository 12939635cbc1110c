/** Puts pieces that nobody has kept yet into packs, compressed where that helps. */
import { Effect } from "effect"
import { promisify } from "node:util"
import { deflateRaw, deflateRawSync } from "node:zlib"
import type { Unavailable } from "../domain/SessionError.ts"
import { randomId } from "../domain/Identity.ts"
import type { Piece } from "./Assembly.ts"
import type { PieceHash } from "./Manifest.ts"
import { packSize, type PackStore, type StoreFailed } from "./PackStore.ts"

/** Where a piece is kept. */
export interface Place {
  readonly hash: PieceHash
  readonly pack: string
  /** In bytes, from the pack's beginning. */
  readonly at: number
  /** Bytes in the pack. */
  readonly stored: number
  /** Bytes of the piece itself. */
  readonly size: number
  readonly deflated: boolean
}

/** A pack that is not written yet. */
export interface Pack {
  readonly id: string
  readonly data: Buffer
}

export interface Packing {
  /** Takes pieces, and keeps those that are new. */
  readonly add: (pieces: ReadonlyArray<Piece>) => Effect.Effect<void, StoreFailed | Unavailable>
  /** Writes what is left, unless it is small and goes with the rows; gives the places of all that are new. */
  readonly finish: Effect.Effect<
    { readonly places: ReadonlyArray<Place>; readonly pack: Pack | undefined },
    StoreFailed
  >
}

/** `unknown` gives those of the hashes of which no place is known. */
export const make = (
  store: PackStore["Type"],
  unknown: (hashes: ReadonlyArray<PieceHash>) => Effect.Effect<ReadonlySet<PieceHash>, Unavailable>,
): Packing => {
  const seen = new Set<PieceHash>()
  const places: Array<Place> = []
  let waiting: Array<Omit<Place, "pack"> & { readonly data: Buffer }> = []
  let at = 0

  /** What waits, as a pack whose places are known from now on. */
  const packed = Effect.map(randomId("p_"), (id): Pack => {
    const data = Buffer.concat(waiting.map(({ data }) => data))
    for (const { data: _, ...place } of waiting) places.push({ ...place, pack: id })
    waiting = []
    at = 0
    return { id, data }
  })
  const flush = Effect.flatMap(packed, ({ id, data }) => store.put(id, data))

  return {
    add: Effect.fnUntraced(function* (pieces) {
      const first = pieces.filter(({ hash }) => !seen.has(hash) && seen.add(hash))
      if (first.length === 0) return
      const bytes = first.reduce((sum, { data }) => sum + data.length, 0)
      const hashes = first.map(({ hash }) => hash)
      // To keep a little twice costs less than to ask.
      const missing = bytes <= small && first.length <= few ? new Set(hashes) : yield* unknown(hashes)
      for (const { hash, data } of first) {
        if (!missing.has(hash)) continue
        const deflated = yield* deflate(data)
        const kept = deflated ?? data
        waiting.push({
          hash,
          data: kept,
          at,
          stored: kept.length,
          size: data.length,
          deflated: deflated !== undefined,
        })
        at += kept.length
        if (at >= packSize) yield* flush
      }
    }),
    finish: Effect.gen(function* () {
      if (waiting.length === 0) return { places, pack: undefined }
      if (store.takesRows && at <= small) return { pack: yield* packed, places }
      yield* flush
      return { places, pack: undefined }
    }),
  }
}

/**
 * Bytes up to which little is made of a pack; also those up to which compressing is done at once, and of the sample that
 * tells whether a larger piece would shrink.
 */
const small = 16 * 1024

/** Pieces that are kept unasked, at most. */
const few = 8

/** What compression has to save at least. */
const worthwhile = 0.9

const options = { level: 1 }

/** Undefined where it does not shrink. */
const deflate = (data: Buffer): Effect.Effect<Buffer | undefined> => {
  const shrunk = (whole: Buffer, part: Buffer) => (part.length < whole.length * worthwhile ? part : undefined)
  if (data.length <= small) return Effect.sync(() => shrunk(data, deflateRawSync(data, options)))
  const middle = Math.floor((data.length - small) / 2)
  const sample = data.subarray(middle, middle + small)
  return shrunk(sample, deflateRawSync(sample, options)) === undefined
    ? Effect.succeed(undefined)
    : Effect.map(
        Effect.promise(() => promisify(deflateRaw)(data, options)),
        (part) => shrunk(data, part),
      )
}
