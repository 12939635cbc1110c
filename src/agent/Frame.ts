/**
 * What travels between a node and an agent, in both directions: frames of
 * `u32 length of the payload | u8 kind | u32 channel | payload | check`, big-endian.
 *
 * An attachment that breaks may leave half a frame behind, or half a mark, and an engine may pass on what it still
 * holds of it in the middle of what comes on the next one. That begins with a mark: 16 secret bytes, which all have
 * the highest bit set, and the attachment's number. The check is of the attachment and of the whole frame; nothing of
 * a frame is listened to before it holds. Number and check stand in four bytes of 7 bits each, so that no whole frame
 * ends in what might be the beginning of a mark, and a receiver that waits for more never waits in vain.
 */
import { crc32 } from "node:zlib"

/** Of the frames and of the messages: raised with every change that an older agent or node would misread. */
export const version = 2

/** Bytes of one payload, at most. */
export const maxPayload = 64 * 1024

export const secretSize = 16
export const markSize = secretSize + 4
const numberSize = markSize - secretSize
const headerSize = 9

export const Kind = { data: 1, end: 2, acknowledge: 3, close: 4, resync: 5 } as const
export type Kind = (typeof Kind)[keyof typeof Kind]

/** The other end broke the rules above, or those of the messages; nothing that it says can be relied on. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError"
}

/** A frame as the pieces to write on the attachment; the payload is not copied. */
export const encode = (
  attachment: number,
  kind: Kind,
  channel: number,
  payload: Uint8Array = empty,
): Array<Uint8Array> => {
  const header = Buffer.allocUnsafe(headerSize)
  header.writeUInt32BE(payload.length, 0)
  header.writeUInt8(kind, 4)
  header.writeUInt32BE(channel, 5)
  const check = sevens(crc32(payload, crc32(header, attachment)))
  return payload.length === 0 ? [Buffer.concat([header, check])] : [header, payload, check]
}

/** Number 0, from an agent: it has lost the thread, and waits for another attachment. */
export const mark = (secret: Uint8Array, attachment: number) => Buffer.concat([secret, sevens(attachment)])

/** The lower 28 bits of a number. */
const sevens = (value: number) =>
  Buffer.from([(value >>> 21) & 0x7f, (value >>> 14) & 0x7f, (value >>> 7) & 0x7f, value & 0x7f])

/** A secret for marks, out of random bytes. It is kept for long: not in memory that others share. */
export const secretOf = (random: Uint8Array) => Buffer.from(random.map((byte) => byte | 0x80).buffer)

export interface FrameHandler {
  /** A piece of a data frame's payload. */
  readonly data: (channel: number, piece: Uint8Array) => void
  /** Any other frame, whole. */
  readonly frame: (kind: Kind, channel: number, payload: Uint8Array) => void
}

/** Takes frames out of a stream that is cut anywhere. Throws `ProtocolError`. */
export class FrameReader {
  private readonly header = Buffer.alloc(headerSize)
  private headerFilled = 0
  private kind: Kind = Kind.data
  private channel = 0
  /** Bytes of the payload still to come. */
  private left = 0
  private pieces: Array<Uint8Array> = []
  private check = 0
  private readonly end = Buffer.alloc(numberSize)
  private endFilled = 0
  private readonly attachment: number
  private readonly handler: FrameHandler

  constructor(attachment: number, handler: FrameHandler) {
    this.attachment = attachment
    this.handler = handler
  }

  push(chunk: Uint8Array) {
    let at = 0
    while (at < chunk.length) {
      if (this.headerFilled < headerSize) {
        const piece = chunk.subarray(at, at + headerSize - this.headerFilled)
        this.header.set(piece, this.headerFilled)
        this.headerFilled += piece.length
        at += piece.length
        if (this.headerFilled === headerSize) this.begin()
      } else if (this.left > 0) {
        const piece = chunk.subarray(at, at + this.left)
        at += piece.length
        this.left -= piece.length
        this.check = crc32(piece, this.check)
        this.pieces.push(piece)
      } else {
        const piece = chunk.subarray(at, at + numberSize - this.endFilled)
        this.end.set(piece, this.endFilled)
        this.endFilled += piece.length
        at += piece.length
        if (this.endFilled === numberSize) this.finish()
      }
    }
  }

  private begin() {
    this.left = this.header.readUInt32BE(0)
    const kind = this.header.readUInt8(4)
    this.channel = this.header.readUInt32BE(5)
    if (this.left > maxPayload) throw new ProtocolError(`a frame of ${this.left} bytes`)
    if (kind < Kind.data || kind > Kind.resync) throw new ProtocolError(`a frame of kind ${kind}`)
    if (kind === Kind.data && this.left === 0) throw new ProtocolError("a frame of no bytes")
    this.kind = kind as Kind
    this.check = crc32(this.header, this.attachment)
  }

  private finish() {
    if (!this.end.equals(sevens(this.check))) throw new ProtocolError("a frame that is not whole")
    const { channel, kind, pieces } = this
    this.headerFilled = 0
    this.endFilled = 0
    this.pieces = []
    if (kind === Kind.data) for (const piece of pieces) this.handler.data(channel, piece)
    else this.handler.frame(kind, channel, pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces))
  }
}

/**
 * Finds marks in a stream. What comes before a mark goes to `bytes`, less half a mark at the end of a chunk, which
 * is held back until more has come.
 */
export class MarkFinder {
  private held: Buffer = empty
  private readonly secret: Uint8Array
  private readonly bytes: (chunk: Uint8Array) => void
  private readonly found: (attachment: number) => void

  constructor(secret: Uint8Array, bytes: (chunk: Uint8Array) => void, found: (attachment: number) => void) {
    this.secret = secret
    this.bytes = bytes
    this.found = found
  }

  push(chunk: Buffer) {
    let rest = this.held.length === 0 ? chunk : Buffer.concat([this.held, chunk])
    this.held = empty
    for (;;) {
      const at = rest.indexOf(this.secret)
      if (at < 0) break
      const number = rest.subarray(at + secretSize, at + markSize)
      const broken = number.findIndex((byte) => byte > 0x7f)
      if (broken < 0 && number.length < numberSize) return this.hold(rest, this.whole(rest, at))
      const before = rest.subarray(0, this.whole(rest, at))
      if (before.length > 0) this.bytes(before)
      if (broken < 0) this.found(number.reduce((sum, byte) => sum * 128 + byte, 0))
      rest = rest.subarray(at + secretSize + (broken < 0 ? number.length : broken))
    }
    this.hold(rest, this.whole(rest, rest.length))
  }

  private hold(rest: Buffer, from: number) {
    if (from > 0) this.bytes(rest.subarray(0, from))
    if (from < rest.length) this.held = Buffer.from(rest.subarray(from))
  }

  /** The end of what may not be beginnings of marks, a few that broke off and one more, before `end`. */
  private whole(rest: Buffer, end: number) {
    let at = end
    for (let marks = 0; marks < 4; marks++) at -= this.beginning(rest, at)
    return at
  }

  /** How many bytes before `end` may be the beginning of a mark. It is asked of every chunk: nothing is made for it. */
  private beginning(rest: Buffer, end: number) {
    for (let size = Math.min(secretSize - 1, end); size > 0; size--) {
      let same = 0
      while (same < size && rest[end - size + same] === this.secret[same]) same++
      if (same === size) return size
    }
    return 0
  }
}

const empty = Buffer.alloc(0)
