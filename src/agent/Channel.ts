/** One channel of a link: a stream of bytes in either direction. `Channels` makes and drops them. */
import { Chunks } from "./Chunks.ts"
import { Kind, maxPayload, ProtocolError } from "./Frame.ts"

/** Bytes that may be on their way in one direction of one channel. */
export const window = 512 * 1024

export interface ChannelHandler {
  /** Bytes came. They count against the window until `consume` is called for them. */
  readonly data: (chunk: Uint8Array) => void
  /** The other end has nothing more to say. */
  readonly end: () => void
  /** All that was written has been sent: more may be written. */
  readonly drain?: () => void
  /** The other end has dropped the channel; `end` follows, where it had not come. */
  readonly closed?: () => void
}

/** The link, as one channel uses it. */
export interface Line {
  readonly send: (kind: Kind, payload?: Uint8Array) => void
  readonly close: (isUrgent: boolean) => void
  readonly maySend: () => boolean
  readonly closed: () => void
}

export class Channel {
  readonly id: number
  /** Bytes that came, from the beginning of the channel. */
  received = 0
  private readonly handler: ChannelHandler
  private readonly line: Line
  /** Bytes after which the other end is told of them. */
  private readonly tellAfter: number
  private consumed = 0
  private told = 0
  /** What was written and is not acknowledged, from byte `acknowledged` on. */
  private readonly kept = new Chunks(few)
  acknowledged = 0
  private sent = 0
  /** Where in `kept` what is not sent begins: behind its last chunk, where that may yet become longer, in it. */
  private next = { chunk: 0, byte: 0 }
  /** Bytes that were to be sent, from the beginning of the channel. */
  written = 0
  private ending = false
  private endSent = false
  private gotEnd = false

  constructor(id: number, handler: ChannelHandler, line: Line, tellAfter = window / 4) {
    this.id = id
    this.handler = handler
    this.line = line
    this.tellAfter = tellAfter
  }

  /** Bytes that wait for the other end's leave. Whoever writes stops when there are many, until `drain`. */
  get waiting() {
    return this.written - this.sent
  }

  write(chunk: Uint8Array) {
    if (chunk.length === 0 || this.ending) return
    this.kept.push(chunk)
    this.written += chunk.length
    this.flush()
  }

  /** Nothing more will be written. */
  end() {
    this.ending = true
    this.flush()
  }

  /** Gives the other end leave to send as many bytes more. */
  consume(bytes: number) {
    this.consumed += bytes
    if (this.consumed - this.told >= this.tellAfter) this.tell()
  }

  /** Drops the channel at both ends. Where that is not urgent, the other one hears of it with the next message. */
  close(isUrgent = true) {
    this.line.close(isUrgent)
    this.drop()
  }

  receive(chunk: Uint8Array) {
    if (this.gotEnd) throw new ProtocolError(`bytes after the end of channel ${this.id}`)
    this.received += chunk.length
    if (this.received - this.consumed > window)
      throw new ProtocolError(`channel ${this.id} is past its window`)
    this.handler.data(chunk)
  }

  /** Says whether that was news. */
  receiveEnd() {
    if (this.gotEnd) return false
    this.gotEnd = true
    this.handler.end()
    return true
  }

  receiveClose() {
    this.drop()
    this.handler.closed?.()
    this.receiveEnd()
  }

  private drop() {
    const waited = this.waiting > 0
    this.ending = true
    this.endSent = true
    this.kept.take()
    this.sent = this.acknowledged = this.written
    this.line.closed()
    if (waited) this.handler.drain?.()
  }

  /** Says whether that was news. */
  acknowledge(offset: number) {
    if (offset > this.sent || offset < this.acknowledged)
      throw new ProtocolError(`channel ${this.id} acknowledges ${offset}`)
    const isNew = offset > this.acknowledged
    this.forgetUntil(offset)
    this.flush()
    return isNew
  }

  /** The link is new: the other end has `offset` bytes. */
  rewind(offset: number) {
    if (!Number.isSafeInteger(offset) || offset > this.written || offset < this.acknowledged) {
      throw new ProtocolError(`channel ${this.id} has ${offset}`)
    }
    this.sent = offset
    this.next = { chunk: 0, byte: offset - this.acknowledged }
    while (this.next.byte > (this.kept.at(this.next.chunk)?.length ?? Infinity)) {
      this.next.byte -= this.kept.at(this.next.chunk)!.length
      this.next.chunk++
    }
    this.endSent = false
  }

  /** Goes on, where `rewind` has left off. */
  resume() {
    this.tell()
    this.flush()
  }

  /** Tells the other end how much was taken of what it keeps, where it does not know. */
  tellNew() {
    if (this.consumed > this.told) this.tell()
  }

  private tell() {
    this.told = this.consumed
    if (this.consumed > 0) this.line.send(Kind.acknowledge, bytesOf(this.consumed))
  }

  private forgetUntil(offset: number) {
    const chunk = this.next.chunk - this.kept.drop(offset - this.acknowledged)
    this.acknowledged = offset
    this.next = chunk > 0 ? { chunk, byte: this.next.byte } : { chunk: 0, byte: this.sent - offset }
  }

  /** Sends what may be sent. */
  flush() {
    if (!this.line.maySend()) return
    const before = this.waiting
    const limit = Math.min(this.written, this.acknowledged + window)
    while (this.sent < limit) {
      const isAtEnd = this.next.byte === this.kept.at(this.next.chunk)!.length
      const { chunk, byte } = isAtEnd ? { chunk: this.next.chunk + 1, byte: 0 } : this.next
      const piece = this.kept.at(chunk)!.subarray(byte, byte + Math.min(maxPayload, limit - this.sent))
      this.sent += piece.length
      this.next = { chunk, byte: byte + piece.length }
      this.line.send(Kind.data, piece)
    }
    if (this.ending && !this.endSent && this.sent === this.written) {
      this.endSent = true
      this.line.send(Kind.end)
    }
    if (before > 0 && this.waiting === 0) this.handler.drain?.()
  }
}

/** Chunks that a channel keeps as they were written: an idle one keeps no more. */
const few = 64

const bytesOf = (count: number) => {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeDoubleBE(count)
  return bytes
}
