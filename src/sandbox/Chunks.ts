/** Large chunks as they come; small ones copied together, which would cost many times their size each. */
export class Chunks {
  size = 0
  private readonly chunks: Array<Uint8Array> = []
  /** What the last chunk is a part of, if there is room in it. */
  private block: Buffer | undefined

  push(chunk: Uint8Array) {
    this.size += chunk.length
    const last = this.chunks.at(-1)
    if (chunk.length >= small) {
      this.chunks.push(chunk)
      this.block = undefined
    } else if (
      this.block === undefined ||
      last === undefined ||
      last.length + chunk.length > this.block.length
    ) {
      this.block = Buffer.allocUnsafeSlow(blockSize)
      this.block.set(chunk)
      this.chunks.push(this.block.subarray(0, chunk.length))
    } else {
      this.block.set(chunk, last.length)
      this.chunks[this.chunks.length - 1] = this.block.subarray(0, last.length + chunk.length)
    }
  }

  /** Drops whole chunks from the beginning while `limit` bytes stay without them. */
  keep(limit: number) {
    while (this.chunks.length > 1 && this.size - this.chunks[0]!.length >= limit) {
      this.size -= this.chunks.shift()!.length
    }
  }

  /** The last bytes, as many as are asked for; a reader that follows costs no more than what is new. */
  last(bytes: number) {
    let from = this.chunks.length
    let size = 0
    while (size < bytes && from > 0) size += this.chunks[--from]!.length
    return Buffer.concat(this.chunks.slice(from)).subarray(size - bytes)
  }
}

/** In bytes. */
const small = 2048
const blockSize = 8192
