/** Puts pieces that nobody has kept yet into packs, compressed where that helps. */
import { Effect, Fiber } from "effect"
import type { Unavailable } from "../domain/SessionError.ts"
import { randomId } from "../domain/Identity.ts"
import type { Piece } from "./Assembly.ts"
import { deflate } from "./Deflate.ts"
import { type PieceHash, pieceSize } from "./Manifest.ts"
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

interface Packing {
  /** Takes pieces, and keeps those that are new. */
  readonly add: (pieces: ReadonlyArray<Piece>) => Effect.Effect<void, StoreFailed | Unavailable>
  /** Writes what is left, unless it is small and goes with the rows; gives the places of all that are new. */
  readonly finish: Effect.Effect<
    { readonly places: ReadonlyArray<Place>; readonly pack: Pack | undefined },
    StoreFailed
  >
}

/**
 * `unknown` gives those of the hashes of which no place is known. A pack is written while the next one is made; one that
 * is being written goes with the scope.
 */
export const make = Effect.fnUntraced(function* (
  store: PackStore["Type"],
  unknown: (hashes: ReadonlyArray<PieceHash>) => Effect.Effect<ReadonlySet<PieceHash>, Unavailable>,
) {
  const scope = yield* Effect.scope
  const seen = new Set<PieceHash>()
  const places: Array<Place> = []
  let waiting: Array<Omit<Place, "pack">> = []
  /** What waits, up to `at`. */
  let buffer: Buffer = Buffer.alloc(0)
  let at = 0
  let writing: { readonly done: Fiber.Fiber<void, StoreFailed>; readonly buffer: Buffer } | undefined

  const put = (data: Buffer) => {
    if (buffer.length < at + data.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(at + data.length, Math.min(4 * buffer.length, largest)))
      buffer.copy(larger, 0, 0, at)
      buffer = larger
    }
    data.copy(buffer, at)
    at += data.length
  }

  /** What waits, as a pack whose places are known from now on. */
  const packed = Effect.map(randomId("p_"), (id): Pack => {
    const data = buffer.subarray(0, at)
    for (const place of waiting) places.push({ ...place, pack: id })
    waiting = []
    at = 0
    return { id, data }
  })
  const written = Effect.suspend(() => (writing === undefined ? Effect.void : Fiber.join(writing.done)))
  const flush = Effect.gen(function* () {
    yield* written
    const { id, data } = yield* packed
    const full = buffer
    buffer = writing?.buffer ?? Buffer.alloc(0)
    writing = { done: yield* Effect.forkIn(store.put(id, data), scope), buffer: full }
  })

  const packing: Packing = {
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
          at,
          stored: kept.length,
          size: data.length,
          deflated: deflated !== undefined,
        })
        put(kept)
        if (at >= packSize) yield* flush
      }
    }),
    finish: Effect.gen(function* () {
      if (waiting.length > 0 && store.takesRows && at <= small) {
        yield* written
        return { pack: yield* packed, places }
      }
      if (waiting.length > 0) yield* flush
      yield* written
      return { places, pack: undefined }
    }),
  }
  return packing
})

/** Bytes of a pack, at most. */
const largest = packSize + pieceSize

/** Bytes up to which little is made of a pack. */
const small = 16 * 1024

/** Pieces that are kept unasked, at most. */
const few = 8
