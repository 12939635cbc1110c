/** The bytes of file operations on their channels: never more in memory than a channel's window. */
import { read, readSync } from "node:fs"
import { promisify } from "node:util"
import { type Channel, window } from "../Channel.ts"
import type { Channels } from "../Channels.ts"
import { Refusal } from "./Refusal.ts"

/** What is read of a file at a time, in bytes: each read waits for a thread. */
const pieceSize = 256 * 1024

/** What is read and written at once, in bytes, without a thread: the way there and back takes longer. */
export const small = 64 * 1024

interface Slot {
  readonly buffer: Buffer
  /** How much had been sent with what it holds. */
  end: number
}

/** Both directions of one operation's channel. */
export class Transfer {
  private readonly channel: Channel
  private came: Array<Uint8Array> = []
  private ended = false
  private unwanted = false
  private wake = () => {}
  private drained = () => {}
  private readonly slots: Array<Slot> = []
  private filling: Slot | undefined
  /** Bytes that were written. */
  sent = 0

  /** Opens the channel at once: its bytes may follow the message that names it. */
  constructor(channels: Channels, id: number) {
    this.channel = channels.open(id, {
      data: (chunk) => {
        if (this.unwanted) return this.channel.consume(chunk.length)
        this.came.push(chunk)
        this.wake()
      },
      end: () => {
        this.ended = true
        this.wake()
        this.drained()
      },
      drain: () => this.drained(),
    })
  }

  /** The chunks that come: whoever asks for one is done with the one before. */
  async *chunks() {
    for (;;) {
      const chunk = this.came.shift()
      if (chunk !== undefined) {
        yield chunk
        this.channel.consume(chunk.length)
      } else if (this.ended) return
      else await new Promise<void>((resolve) => (this.wake = resolve))
    }
  }

  /** Hands every chunk that comes to `take`. */
  async receive(take: (chunk: Uint8Array) => Promise<void>) {
    for await (const chunk of this.chunks()) await take(chunk)
  }

  /** Sends bytes, and waits until more may be sent. A node that has gone ends the operation. */
  async send(bytes: Uint8Array) {
    if (this.ended) throw new Refusal("aborted")
    this.sent += bytes.length
    if (bytes.buffer === this.filling?.buffer.buffer) this.filling.end = this.sent
    this.channel.write(bytes)
    while (this.channel.waiting > 0) {
      await new Promise<void>((resolve) => (this.drained = resolve))
      if (this.ended) throw new Refusal("aborted")
    }
  }

  /**
   * Memory to fill and send, for `most` bytes that are still to come. What was sent is kept until it is acknowledged,
   * which all but the last window has been once everything is on its way; so few such buffers do, and the collector has
   * nothing to do.
   */
  room(most = pieceSize): Buffer {
    let slot = this.slots.find(({ end }) => end <= Math.max(0, this.sent - window))
    if (slot === undefined) {
      slot = { buffer: Buffer.allocUnsafeSlow(Math.min(pieceSize, most)), end: 0 }
      this.slots.push(slot)
    }
    this.filling = slot
    return slot.buffer
  }

  /** Nothing more is sent, and what still comes is dropped. */
  finish() {
    this.unwanted = true
    for (const chunk of this.came) this.channel.consume(chunk.length)
    this.came = []
    this.channel.end()
  }
}

/** Reads a file's bytes from `from` to before `to`, in pieces that may be sent, or are to be done with at once. */
export async function* pieces(fd: number, from: number, to: number, transfer: Transfer) {
  for (let offset = from; offset < to;) {
    const buffer = transfer.room(to - offset)
    const length = Math.min(buffer.length, to - offset)
    const count =
      to - from <= small
        ? readSync(fd, buffer, 0, length, offset)
        : (await readAside(fd, buffer, 0, length, offset)).bytesRead
    if (count === 0) return
    offset += count
    yield buffer.subarray(0, count)
  }
}

const readAside = promisify(read)
