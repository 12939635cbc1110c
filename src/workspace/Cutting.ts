/** Cuts a stream of bytes into the pieces that the store keeps, and tells the hash of the whole. */
import { Effect, Stream } from "effect"
import { createHash } from "node:crypto"
import { TransferTooLarge } from "../domain/ObjectError.ts"
import type { Piece } from "./Assembly.ts"
import { PieceHash, pieceSize } from "./Manifest.ts"

/** What a stream came to. */
export interface Cut {
  readonly size: number
  readonly sha256: string
  readonly pieces: ReadonlyArray<PieceHash>
}

/** Hands over piece after piece; no more than one is held. Fails where there are more than `limit` bytes. */
export const cut = Effect.fnUntraced(function* <E, E2>(
  source: Stream.Stream<Uint8Array, E>,
  limit: number,
  keep: (piece: Piece) => Effect.Effect<unknown, E2>,
) {
  const whole = createHash("sha256")
  const pieces: Array<PieceHash> = []
  let buffer = Buffer.allocUnsafeSlow(pieceSize)
  let filled = 0
  let size = 0
  const close = Effect.suspend(() => {
    const data = filled === pieceSize ? buffer : Buffer.from(buffer.subarray(0, filled))
    if (filled === pieceSize) buffer = Buffer.allocUnsafeSlow(pieceSize)
    filled = 0
    const hash = PieceHash.make(createHash("sha256").update(data).digest("hex"), { disableValidation: true })
    pieces.push(hash)
    return keep({ hash, data })
  })
  yield* Stream.runForEach(source, (chunk) =>
    Effect.gen(function* () {
      size += chunk.length
      if (size > limit) return yield* new TransferTooLarge({ limit })
      whole.update(chunk)
      for (let at = 0; at < chunk.length;) {
        const part = chunk.subarray(at, at + pieceSize - filled)
        buffer.set(part, filled)
        filled += part.length
        at += part.length
        if (filled === pieceSize) yield* close
      }
    }),
  )
  if (filled > 0) yield* close
  return { size, sha256: whole.digest("hex"), pieces } satisfies Cut
})
