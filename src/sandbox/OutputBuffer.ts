/**
 * What one stream of a command wrote, in bounded memory: the first half of `limit` bytes and the last,
 * the middle dropped. Cursors count every byte ever written, so that they stay right across the gap.
 */
import type { OutputPiece } from "../domain/Command.ts"
import { Chunks } from "../agent/Chunks.ts"

export class OutputBuffer {
  private readonly headLimit: number
  private readonly tailLimit: number
  private readonly head = new Chunks()
  private readonly tail = new Chunks()
  /** Bytes written so far. */
  total = 0

  constructor(limit: number) {
    this.headLimit = Math.ceil(limit / 2)
    this.tailLimit = limit - this.headLimit
  }

  push(chunk: Uint8Array) {
    this.total += chunk.length
    const room = Math.min(this.headLimit - this.head.size, chunk.length)
    if (room > 0) this.head.push(chunk.subarray(0, room))
    if (room === chunk.length) return
    this.tail.push(chunk.subarray(room))
    this.tail.keep(this.tailLimit)
  }

  /** What is kept from byte `after` on. */
  read(after: number): OutputPiece {
    const tailSize = Math.min(this.tail.size, this.tailLimit)
    const tailStart = this.total - tailSize
    if (after >= tailStart) {
      return { data: this.tail.last(Math.max(0, this.total - after)), skipped: 0, skippedAt: 0 }
    }
    const head = this.head.last(Math.max(0, this.head.size - after))
    const skipped = tailStart - Math.max(after, this.head.size)
    return { data: Buffer.concat([head, this.tail.last(tailSize)]), skipped, skippedAt: head.length }
  }
}
