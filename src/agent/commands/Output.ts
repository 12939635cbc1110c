/** What one stream of a command writes, on its way to the node and to the file that keeps it. */
import { readSync } from "node:fs"
import { setImmediate } from "node:timers/promises"
import type { Channel } from "../Channel.ts"
import type { Spill } from "./Spill.ts"

/** What a pipe can hold: more than that was written after the command had ended. */
const pipeSize = 1024 * 1024

/** Where an output comes from. */
export interface Source {
  pause(): void
  resume(): void
  /** The command has ended: only what it left running writes any more. */
  settle?(): void
}

export class Output {
  channel: Channel | undefined
  source: Source | undefined
  private readonly spill: Spill
  private closed = false
  private read = 0
  private paused = false
  private over = false
  private whenClosed = () => {}

  constructor(spill: Spill) {
    this.spill = spill
  }

  /** Nothing comes any more. */
  close() {
    this.closed = true
    this.whenClosed()
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

  /** The command has ended: reads what it left to be read, and says whether that was the end of the stream. */
  settle() {
    this.source?.settle?.()
    if (this.closed) this.finish()
    return this.closed
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
    this.finish()
  }

  push(chunk: Buffer) {
    if (this.over) return
    this.read += chunk.length
    this.spill.push(chunk)
    this.channel?.write(chunk)
    if ((this.channel?.waiting ?? 0) > 0) {
      this.paused = true
      this.source?.pause()
    }
  }

  private finish() {
    this.over = true
    this.spill.end()
    this.channel?.end()
    this.resume()
  }
}
