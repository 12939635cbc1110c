/** Large chunks as they come; small ones copied together, which would cost many times their size each. */
export class Chunks {
  size = 0
  private readonly chunks: Array<Uint8Array> = []
  /** What the last small chunks were copied to, as far as `filled`. */
  private block: Buffer = none
  private filled = 0
  private readonly few: number

  /** So many are held as they come, whatever their size: what waits for a moment only is not worth a copy. */
  constructor(few = 0) {
    this.few = few
  }

  get count() {
    return this.chunks.length
  }

  at(index: number) {
    return this.chunks[index]
  }

  push(chunk: Uint8Array) {
    this.size += chunk.length
    if (chunk.length >= small || this.chunks.length < this.few) return void this.chunks.push(chunk)
    const last = this.chunks.at(-1)
    const hasRoom = this.filled + chunk.length <= this.block.length
    if (!hasRoom) {
      this.block = Buffer.allocUnsafeSlow(blockSize)
      this.filled = 0
    }
    const joins = hasRoom && last?.buffer === this.block.buffer
    const from = joins ? this.filled - last.length : this.filled
    this.block.set(chunk, this.filled)
    this.filled += chunk.length
    const joined = this.block.subarray(from, this.filled)
    if (joins) this.chunks[this.chunks.length - 1] = joined
    else this.chunks.push(joined)
  }

  /** Drops bytes from the beginning; gives how many chunks went with them. */
  drop(bytes: number) {
    let gone = 0
    let left = Math.min(bytes, this.size)
    this.size -= left
    for (; left > 0 && this.chunks[gone]!.length <= left; gone++) left -= this.chunks[gone]!.length
    this.chunks.splice(0, gone)
    if (left > 0) this.chunks[0] = this.chunks[0]!.subarray(left)
    return gone
  }

  /** Drops whole chunks from the beginning while `limit` bytes stay without them. */
  keep(limit: number) {
    let gone = 0
    while (gone < this.chunks.length - 1 && this.size - this.chunks[gone]!.length >= limit) {
      this.size -= this.chunks[gone++]!.length
    }
    this.chunks.splice(0, gone)
  }

  /** All of them, which are not held any more. */
  take() {
    this.size = 0
    return this.chunks.splice(0)
  }

  /** The last bytes, as many as are asked for; a reader that follows costs no more than what is new. */
  last(bytes: number) {
    let from = this.chunks.length
    let size = 0
    while (size < bytes && from > 0) size += this.chunks[--from]!.length
    return Buffer.concat(this.chunks.slice(from)).subarray(size - bytes)
  }
}

const none = Buffer.alloc(0)

/** In bytes. */
const small = 2048
const blockSize = 8192
