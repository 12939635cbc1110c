/** One channel as a stream, on its way to a host that the node dials: a waiting one at first. */
import { Duplex } from "node:stream"
import type { Channel } from "../Channel.ts"
import type { Channels } from "../Channels.ts"

/** The node's answer to a host. */
export interface Reply {
  readonly status: number
  readonly reason: string
}

/** Characters of the node's answer, at most. */
const maxReply = 512

export class Line extends Duplex {
  private readonly channel: Channel
  private readonly gone: () => void
  private resolve: ((reply: Reply) => void) | undefined
  /** What has come of the node's answer; undefined once that is whole. */
  private reply: Buffer | undefined = Buffer.alloc(0)
  private written: (() => void) | undefined
  /** Bytes that came and that nobody has taken yet. */
  private held = 0

  /** `gone` is called once, when nobody here needs the channel any more. */
  constructor(channels: Channels, id: number, gone: () => void) {
    super({ allowHalfOpen: true })
    this.gone = gone
    this.channel = channels.open(id, {
      data: (chunk) => this.came(chunk),
      end: () => {
        if (this.destroyed) return
        if (this.reply === undefined) this.push(null)
        else this.destroy()
      },
      drain: () => this.flushed(),
      closed: () => this.destroy(),
    })
  }

  /** Asks the node for a host; what is written from then on goes there. */
  dial(target: string): Promise<Reply> {
    return new Promise((resolve) => {
      this.resolve = resolve
      this.once("close", () => resolve({ status: 502, reason: "the connection ended" }))
      if (this.destroyed) resolve({ status: 502, reason: "the connection ended" })
      this.channel.write(Buffer.from(`${target}\n`))
    })
  }

  override _read() {
    this.channel.consume(this.held)
    this.held = 0
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void) {
    this.written = done
    this.channel.write(chunk)
    if (this.channel.waiting === 0) this.flushed()
  }

  override _final(done: () => void) {
    this.channel.end()
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void) {
    this.channel.end()
    this.channel.consume(this.held)
    this.held = 0
    this.flushed()
    this.gone()
    done(error)
  }

  private flushed() {
    const done = this.written
    this.written = undefined
    done?.()
  }

  private came(chunk: Uint8Array) {
    // The node goes on until it hears that nobody listens.
    if (this.destroyed) return this.channel.consume(chunk.length)
    const rest = this.reply === undefined ? chunk : this.answered(this.reply, chunk)
    if (rest.length === 0) return
    this.held += rest.length
    if (this.push(rest)) this._read()
  }

  /** Takes the node's answer out of what came; gives what follows it. */
  private answered(begin: Buffer, chunk: Uint8Array): Uint8Array {
    const bytes = Buffer.concat([begin, chunk])
    const end = bytes.indexOf("\n")
    const rest = end < 0 ? Buffer.alloc(0) : bytes.subarray(end + 1)
    this.channel.consume(chunk.length - rest.length)
    if (end < 0 && bytes.length < maxReply) this.reply = bytes
    else {
      this.reply = undefined
      const [, status, reason] =
        /^(\d{3})(?: (.*))?$/.exec(bytes.toString("latin1", 0, Math.max(0, end))) ?? []
      this.resolve?.({ status: Number(status ?? 502), reason: reason ?? "" })
    }
    return rest
  }
}
