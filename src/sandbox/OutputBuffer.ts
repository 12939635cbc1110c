/**
 * What one stream of a command wrote, in bounded memory: the first half of `limit` bytes and the last,
 * the middle dropped. Cursors count every byte ever written, so that they stay right across the gap.
 */
import type { OutputPiece } from "../domain/Command.ts"

export class OutputBuffer {
  private readonly headLimit: number
  private readonly tailLimit: number
  private readonly head: Array<Uint8Array> = []
  private headSize = 0
  private readonly tail: Array<Uint8Array> = []
  private tailSize = 0
  /** Bytes written so far. */
  total = 0

  constructor(limit: number) {
    this.headLimit = Math.ceil(limit / 2)
    this.tailLimit = limit - this.headLimit
  }

  push(chunk: Uint8Array) {
    this.total += chunk.length
    const room = Math.min(this.headLimit - this.headSize, chunk.length)
    if (room > 0) {
      this.head.push(chunk.subarray(0, room))
      this.headSize += room
    }
    if (room === chunk.length) return
    this.tail.push(chunk.subarray(room))
    this.tailSize += chunk.length - room
    // Whole chunks go while enough stays without them, so a push costs no copying.
    while (this.tailSize - (this.tail[0]?.length ?? 0) >= this.tailLimit && this.tail.length > 1) {
      this.tailSize -= this.tail.shift()!.length
    }
  }

  /** What is kept from byte `after` on. */
  read(after: number): OutputPiece {
    const tail = Buffer.concat(this.tail).subarray(-this.tailLimit || this.tailSize)
    const tailStart = this.total - tail.length
    if (after >= tailStart) return { data: tail.subarray(after - tailStart), skipped: 0, skippedAt: 0 }
    const head = Buffer.concat(this.head).subarray(after)
    const skipped = tailStart - Math.max(after, this.headSize)
    return { data: Buffer.concat([head, tail]), skipped, skippedAt: head.length }
  }
}
