/** The engine's stream of a container's output, of pieces with a header each: `u8 stream | 0 0 0 | u32 length`. */

const headerSize = 8

/** Splits the stream into that of the container's standard output (1) and error (2). */
export class EngineStream {
  private readonly header = Buffer.alloc(headerSize)
  private filled = 0
  private left = 0
  private readonly piece: (stream: number, piece: Buffer) => void

  constructor(piece: (stream: number, piece: Buffer) => void) {
    this.piece = piece
  }

  push(chunk: Buffer) {
    let at = 0
    while (at < chunk.length) {
      if (this.filled < headerSize) {
        const count = chunk.copy(this.header, this.filled, at, at + headerSize - this.filled)
        this.filled += count
        at += count
        if (this.filled === headerSize) this.left = this.header.readUInt32BE(4)
      } else {
        const piece = chunk.subarray(at, at + this.left)
        at += piece.length
        this.left -= piece.length
        this.piece(this.header[0] ?? 0, piece)
      }
      if (this.filled === headerSize && this.left === 0) this.filled = 0
    }
  }
}
