/** What one stream of a command writes, on its way to the node and to the file that keeps it. */
import { readSync } from "node:fs"
import type { Socket } from "node:net"
import { setImmediate } from "node:timers/promises"
import type { Channel } from "../Channel.ts"
import type { Spill } from "./Spill.ts"

/** What a pipe can hold: more than that was written after the command had ended. */
const pipeSize = 1024 * 1024

export class Output {
  channel: Channel | undefined
  private readonly source: Socket | undefined
  private readonly spill: Spill
  private closed: boolean
  private read = 0
  private paused = false
  private over = false
  private whenClosed = () => {}

  constructor(source: Socket | undefined, spill: Spill) {
    this.source = source
    this.spill = spill
    this.closed = source === undefined
    source?.on("data", (chunk) => this.push(chunk))
    // A terminal whose other side is closed reads as an error, which comes before `close`.
    source?.on("error", () => {})
    source?.on("close", () => {
      this.closed = true
      this.whenClosed()
    })
  }

  /**
   * Reads a terminal to its end. Node takes one whose other side is closed for ended, though its last bytes may still
   * be on their way through the kernel: of those a read has all, or an error.
   */
  readToEnd(terminal: number) {
    const buffer = Buffer.allocUnsafe(64 * 1024)
    try {
      for (let size = 0, piece; size < pipeSize; size += piece) {
        piece = readSync(terminal, buffer)
        if (piece === 0) return
        this.push(Buffer.from(buffer.subarray(0, piece)))
      }
    } catch {
      // Nothing is left.
    }
  }

  get spilled() {
    return this.spill.path
  }

  resume() {
    this.paused = false
    this.source?.resume()
  }

  /** Waits for the end of the stream, or until nothing came for `ms` milliseconds; what comes later is dropped. */
  async drained(ms: number) {
    let seen = this.read
    const first = this.read
    while (!this.closed) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms)
        this.whenClosed = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      // Where this process itself had no turn for so long, what was written meanwhile is still to be read.
      await setImmediate()
      if (!this.paused && (this.read === seen || this.read - first > pipeSize)) break
      seen = this.read
    }
    this.over = true
    this.spill.end()
    this.channel?.end()
    this.resume()
  }

  private push(chunk: Buffer) {
    if (this.over) return
    this.read += chunk.length
    this.spill.push(chunk)
    this.channel?.write(chunk)
    if ((this.channel?.waiting ?? 0) > 0) {
      this.paused = true
      this.source?.pause()
    }
  }
}
