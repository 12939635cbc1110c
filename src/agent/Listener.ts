/**
 * The agent's end of the attachments, one after another. The first bytes are the secret that marks begin with; from
 * the newest mark on, what comes goes to the channels.
 */
import type { Channels } from "./Channels.ts"
import { mark, MarkFinder, ProtocolError, secretSize } from "./Frame.ts"

export class Listener {
  private readonly channels: Channels
  private readonly write: (pieces: ReadonlyArray<Uint8Array>) => void
  private secret: Buffer = Buffer.alloc(0)
  private finder: MarkFinder | undefined
  /** The newest attachment, and whether what comes on it makes sense. */
  private attachment = 0
  private isHeard = false

  constructor(channels: Channels, write: (pieces: ReadonlyArray<Uint8Array>) => void) {
    this.channels = channels
    this.write = write
  }

  push(chunk: Buffer) {
    if (this.finder !== undefined) return this.finder.push(chunk)
    const all = Buffer.concat([this.secret, chunk])
    this.secret = all.subarray(0, secretSize)
    if (all.length < secretSize) return
    this.finder = new MarkFinder(
      this.secret,
      (bytes) => this.receive(bytes),
      (attachment) => this.attach(attachment),
    )
    this.finder.push(all.subarray(secretSize))
  }

  private attach(attachment: number) {
    if (attachment <= this.attachment) return
    this.attachment = attachment
    this.isHeard = true
    this.write([mark(this.secret, attachment)])
    this.channels.attach(attachment)
  }

  /** What an older attachment left behind may come late; where it gets in between, another one is asked for. */
  private receive(bytes: Uint8Array) {
    if (!this.isHeard) return
    try {
      this.channels.receive(bytes)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.isHeard = false
      this.write([mark(this.secret, 0)])
    }
  }
}
