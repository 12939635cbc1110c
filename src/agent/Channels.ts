/**
 * Channels over one link: each is a stream of bytes in either direction, with a credit window of its own, so that
 * a slow reader holds up nobody else. What the other end has not acknowledged is kept, and sent again after a
 * re-attachment: nothing is lost or doubled by a link that breaks. Channel 0 carries the messages, as
 * `u32 length | JSON`. Both ends use this class; whoever makes one sends the first `resync`.
 */
import { Channel, type ChannelHandler, window } from "./Channel.ts"
import { encode, FrameReader, Kind, maxPayload, ProtocolError } from "./Frame.ts"
import { MessageReader, messageOf, parse } from "./Messages.ts"

/** Frames of one resync, at most, and the channels in it: more than a node ever has open. */
const maxResync = 64
const maxChannels = 20_000

/** Bytes that may come for nothing, at most: a window each of many channels that are closed at once. */
const maxWorthless = 256 * window

/** Bytes of messages that the other end may keep, though they came. */
const maxKept = 1024

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
  /** Channels that the node closed, until the agent has acknowledged the message that opens them. */
  private readonly closed: Array<{ readonly id: number; readonly after: number }> = []
  /** Those of them of which the agent is still to be told on this attachment. */
  private closing: Array<number> = []
  /**
   * Bytes and frames that may still come for nothing: what was on its way to a channel that the node closed. An
   * agent that goes on with them would only keep its node busy.
   */
  private worthless = 0

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
        this.sendCloses()
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
    this.allowWorthless(2 * this.open_.size)
    const state = [...this.open_.values()].map(({ id, received }) => [id, received])
    const payload = Buffer.from(JSON.stringify(state))
    for (let at = 0; at === 0 || at < payload.length; at += maxPayload) {
      const hasMore = at + maxPayload < payload.length
      this.put(Kind.resync, hasMore ? 1 : 0, payload.subarray(at, at + maxPayload))
    }
  }

  /** Whether the other end has been heard on this attachment. */
  get isHeard() {
    return this.attached
  }

  /** Lets the other end forget the messages that came. */
  acknowledge() {
    this.messages.tellNew()
  }

  send(message: unknown) {
    this.messages.write(messageOf(message))
  }

  /** Both ends open a channel under the same number, which is not used again. */
  open(id: number, handler: ChannelHandler): Channel {
    const channel = new Channel(
      id,
      handler,
      {
        send: (kind, payload) => {
          if (this.attached) this.put(kind, id, payload)
        },
        close: (isUrgent) => this.close(id, isUrgent),
        // The message that opens a channel at the agent comes before what is written to it.
        maySend: () => this.attached && (id === 0 || this.options.follows || this.messages.waiting === 0),
        closed: () => this.open_.delete(id),
      },
      id === 0 ? maxKept : undefined,
    )
    this.open_.set(id, channel)
    return channel
  }

  private resync: Array<Uint8Array> = []

  private makeReader() {
    this.resync = []
    return new FrameReader(this.attachment, {
      data: (id, piece) => {
        const channel = this.open_.get(id)
        if (channel === undefined) this.charge(piece.length)
        else channel.receive(piece)
      },
      frame: (kind, id, payload) => {
        if (kind === Kind.resync) {
          if (this.attached || this.resync.length === maxResync) throw new ProtocolError("a resync too many")
          this.resync.push(payload)
          if (id === 0) this.resume(Buffer.concat(this.resync))
          return
        }
        const channel = this.open_.get(id)
        if (channel === undefined) this.charge(payload.length)
        else if (kind === Kind.end) this.chargeUnless(channel.receiveEnd())
        else if (kind === Kind.close) channel.receiveClose()
        else if (kind === Kind.acknowledge) this.chargeUnless(channel.acknowledge(numberOf(payload)))
      },
    })
  }

  private chargeUnless(isNew: boolean) {
    if (!isNew) this.charge(0)
  }

  private charge(bytes: number) {
    this.worthless -= bytes + 1
    if (this.worthless < 0 && !this.options.follows) throw new ProtocolError("too much that nobody waits for")
  }

  private allowWorthless(bytes: number) {
    this.worthless = Math.min(this.worthless + bytes, maxWorthless)
  }

  /**
   * The node closes. The agent hears of it after the message that opens the channel, which it may not know yet, and
   * where it is not urgent with the next message.
   */
  private close(id: number, isUrgent: boolean) {
    const { acknowledged, written } = this.messages
    // A window of bytes that come one by one, and the end.
    this.allowWorthless(2 * window + 16)
    while (this.closed.length > 0 && this.closed[0]!.after <= acknowledged) this.closed.shift()
    this.closed.push({ id, after: written })
    this.closing.push(id)
    if (isUrgent) this.sendCloses()
  }

  private sendCloses() {
    if (!this.attached || this.messages.waiting > 0) return
    for (const id of this.closing.splice(0)) this.put(Kind.close, id)
  }

  private resume(payload: Buffer) {
    const state = parse(payload)
    if (!Array.isArray(state) || !state.every(Array.isArray))
      throw new ProtocolError("a resync without a list")
    if (state.length > maxChannels) throw new ProtocolError("a resync of too many channels")
    const received = new Map<unknown, unknown>(state.map(([id, offset]) => [id, offset]))
    for (const channel of this.open_.values()) {
      const offset = received.get(channel.id)
      if (typeof offset === "number") channel.rewind(offset)
      // Closed by the node meanwhile; or opened by it, with the message that says so still on its way.
      else if (this.options.follows) channel.receiveClose()
      else channel.rewind(0)
    }
    this.attached = true
    // Of the messages that come again, some open what is closed by now.
    const known = Number(received.get(0) ?? 0)
    this.closing = this.closed.filter(({ after }) => after > known).map(({ id }) => id)
    for (const channel of this.open_.values()) channel.resume()
    if (this.options.follows) return
    this.sendCloses()
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
