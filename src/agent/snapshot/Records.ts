/**
 * A workspace's files in a stream of bytes, between a node and its agent in either direction: `u8 kind | u32 length |
 * body`. After the entry of a file come its bytes, and its end; an entry that comes before that end takes the place of
 * the file begun.
 */
import { ProtocolError } from "../Frame.ts"
import { parse } from "../Messages.ts"

/** A file, folder or link. `modified` is in milliseconds since 1970, `size` in bytes, `target` where a link leads. */
export interface EntryRecord {
  /** `workspace/…`, or `home/…` for what is below HOME. */
  readonly path: string
  readonly kind: "file" | "directory" | "link"
  /** Permission bits. */
  readonly mode?: number
  readonly modified?: number
  readonly size?: number
  readonly target?: string
}

export const Kind = {
  /** `EntryRecord`, as JSON. */
  entry: 1,
  /** Bytes of the file that began last. */
  data: 2,
  /** So many bytes of it are zero: `{ bytes }`, as JSON. */
  hole: 3,
  /** It is whole: `{ stable }`, as JSON; false where it was being written. */
  end: 4,
  /** What stood at a path, and all below it, is gone: `{ path }`, as JSON. */
  gone: 5,
} as const

export const headerSize = 5

/** Bytes of one record's body, at most. */
const maxBody = 1024 * 1024

export const writeHeader = (buffer: Buffer, at: number, kind: number, length: number) => {
  buffer[at] = kind
  buffer.writeUInt32BE(length, at + 1)
}

export const recordOf = (kind: number, body: Uint8Array) => {
  const header = Buffer.alloc(headerSize)
  writeHeader(header, 0, kind, body.length)
  return [header, body]
}

export const jsonRecord = (kind: number, value: unknown) => recordOf(kind, Buffer.from(JSON.stringify(value)))

export interface Visitor {
  /** A record other than data, as it was parsed; nothing is known of its shape. */
  readonly record: (kind: number, value: unknown) => void
  /** Bytes of the file that began last, which may not be kept. */
  readonly data: (bytes: Buffer) => void
}

/** Takes records out of a stream that is cut anywhere. Throws `ProtocolError`. */
export class RecordReader {
  private readonly header = Buffer.alloc(headerSize)
  private filled = 0
  private kind = 0
  /** Bytes of the record that are still to come; none of a header. */
  private left = -1
  private body: Array<Buffer> = []
  private readonly visitor: Visitor

  constructor(visitor: Visitor) {
    this.visitor = visitor
  }

  push(chunk: Uint8Array) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
    for (let at = 0; at < bytes.length || this.left === 0;) {
      if (this.left < 0) {
        const piece = bytes.subarray(at, at + headerSize - this.filled)
        this.header.set(piece, this.filled)
        this.filled += piece.length
        at += piece.length
        if (this.filled < headerSize) return
        this.filled = 0
        this.kind = this.header[0]!
        this.left = this.header.readUInt32BE(1)
        if (this.left > maxBody) throw new ProtocolError(`a record of ${this.left} bytes`)
      } else {
        const piece = bytes.subarray(at, at + this.left)
        at += piece.length
        this.left -= piece.length
        if (this.kind === Kind.data) this.visitor.data(piece)
        else this.body.push(piece)
        if (this.left > 0) return
        this.left = -1
        if (this.kind !== Kind.data) {
          const whole = Buffer.concat(this.body)
          this.body = []
          this.visitor.record(this.kind, parse(whole))
        }
      }
    }
  }

  /** Whether the stream may end here. */
  get isBetween() {
    return this.left < 0 && this.filled === 0
  }
}
