/**
 * Channels over one link: each is a stream of bytes in either direction, with a credit window of its own, so that
 * a slow reader holds up nobody else. What the other end has not acknowledged is kept, and sent again after a
 * re-attachment: nothing is lost or doubled by a link that breaks. Channel 0 carries the messages, as
 * `u32 length | JSON`. Both ends use this class; whoever makes one sends the first `resync`.
 */
import { Channel, type ChannelHandler } from "./Channel.ts"
import { encode, FrameReader, Kind, maxPayload, ProtocolError } from "./Frame.ts"
import { MessageReader, messageOf, parse } from "./Messages.ts"

/** Frames of one resync, at most. */
const maxResync = 64

export interface ChannelsOptions {
  /** Writes to the link. */
  readonly send: (pieces: ReadonlyArray<Uint8Array>) => void
  readonly message: (message: unknown) => void
  /** The node opens and closes; the agent follows. */
  readonly follows: boolean
}

export class Channels {
  private readonly options: ChannelsOptions
  private readonly open_ = new Map<number, Channel>()
  private reader: FrameReader
  private attachment = 0
  private attached = false
  private readonly messages: Channel
  /** Channels that were closed before the message that opens them was sent. */
  private readonly closing: Array<number> = []

  constructor(options: ChannelsOptions) {
    this.options = options
    this.reader = this.makeReader()
    const receiver = new MessageReader(options.message)
    this.messages = this.open(0, {
      data: (chunk) => {
        receiver.push(chunk)
        this.messages.consume(chunk.length)
      },
      end: () => {
        throw new ProtocolError("the messages ended")
      },
      drain: () => {
        for (const channel of this.open_.values()) channel.flush()
        for (const id of this.closing.splice(0)) this.put(Kind.close, id)
      },
    })
  }

  /** Bytes from the other end. Throws `ProtocolError`. */
  receive(chunk: Uint8Array) {
    this.reader.push(chunk)
  }

  /** A new attachment begins: says what has come so far, and waits to hear the same. */
  attach(attachment: number) {
    this.attachment = attachment
    this.reader = this.makeReader()
    this.attached = false
    const state = [...this.open_.values()].map(({ id, received }) => [id, received])
    const payload = Buffer.from(JSON.stringify(state))
    for (let at = 0; at === 0 || at < payload.length; at += maxPayload) {
      const hasMore = at + maxPayload < payload.length
      this.put(Kind.resync, hasMore ? 1 : 0, payload.subarray(at, at + maxPayload))
    }
  }

  send(message: unknown) {
    this.messages.write(messageOf(message))
  }

  /** Both ends open a channel under the same number, which is not used again. */
  open(id: number, handler: ChannelHandler): Channel {
    const channel = new Channel(id, handler, {
      send: (kind, payload) => {
        if (kind === Kind.close && this.messages.waiting > 0) this.closing.push(id)
        else if (this.attached) this.put(kind, id, payload)
      },
      // The message that opens a channel at the agent comes before what is written to it.
      maySend: () => this.attached && (id === 0 || this.options.follows || this.messages.waiting === 0),
      closed: () => this.open_.delete(id),
    })
    this.open_.set(id, channel)
    return channel
  }

  private resync: Array<Uint8Array> = []

  private makeReader() {
    this.resync = []
    return new FrameReader(this.attachment, {
      data: (id, piece) => this.open_.get(id)?.receive(piece),
      frame: (kind, id, payload) => {
        if (kind === Kind.resync) {
          if (this.attached || this.resync.length === maxResync) throw new ProtocolError("a resync too many")
          this.resync.push(payload)
          if (id === 0) this.resume(Buffer.concat(this.resync))
          return
        }
        const channel = this.open_.get(id)
        if (channel === undefined) return
        if (kind === Kind.end) channel.receiveEnd()
        else if (kind === Kind.close) channel.receiveClose()
        else if (kind === Kind.acknowledge) channel.acknowledge(numberOf(payload))
      },
    })
  }

  private resume(payload: Buffer) {
    const state = parse(payload)
    if (!Array.isArray(state) || !state.every(Array.isArray))
      throw new ProtocolError("a resync without a list")
    const received = new Map<unknown, unknown>(state.map(([id, offset]) => [id, offset]))
    for (const channel of this.open_.values()) {
      const offset = received.get(channel.id)
      if (typeof offset === "number") channel.rewind(offset)
      // Closed by the node meanwhile; or opened by it, with the message that says so still on its way.
      else if (this.options.follows) channel.receiveClose()
      else channel.rewind(0)
    }
    this.attached = true
    for (const channel of this.open_.values()) channel.resume()
    if (this.options.follows) return
    // Closed by the node while there was no link.
    for (const id of received.keys()) {
      if (Number.isInteger(id) && !this.open_.has(id as number)) this.put(Kind.close, (id as number) >>> 0)
    }
  }

  private put(kind: Kind, id: number, payload?: Uint8Array) {
    this.options.send(encode(this.attachment, kind, id, payload))
  }
}

const numberOf = (payload: Uint8Array) => {
  if (payload.length !== 8) throw new ProtocolError("an acknowledgement without a number")
  const count = new DataView(payload.buffer, payload.byteOffset, 8).getFloat64(0)
  if (!Number.isSafeInteger(count)) throw new ProtocolError("an acknowledgement without a number")
  return count
}
