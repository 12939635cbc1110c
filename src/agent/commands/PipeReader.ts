/**
 * Reads the pipe that a command writes to: all at once where the command ends soon, as most do, and else as it comes. A
 * stream of Node's costs more than all else that is done for a short command.
 */
import { Socket } from "node:net"
import * as Kernel from "../Kernel.ts"
import type { Output, Source } from "./Output.ts"

/** Until a command does not count as short, in milliseconds. */
const soon = 10

/** What is read at once, in bytes: more than a pipe holds is of something that goes on. */
const atOnce = 256 * 1024

const buffer = Buffer.allocUnsafeSlow(64 * 1024)

export class PipeReader implements Source {
  private readonly descriptor: number
  private readonly output: Pick<Output, "push" | "close">
  private readonly timer = setTimeout(() => this.follow(), soon)
  private socket: Socket | undefined

  /** The descriptor is this reader's from now on. */
  constructor(descriptor: number, output: Pick<Output, "push" | "close">) {
    this.descriptor = descriptor
    this.output = output
  }

  pause() {
    this.socket?.pause()
  }

  resume() {
    this.socket?.resume()
  }

  settle() {
    if (this.socket !== undefined) return
    clearTimeout(this.timer)
    Kernel.neverWait(this.descriptor)
    for (let size = 0; size < atOnce;) {
      const piece = Kernel.readNow(this.descriptor, buffer)
      // Something else still holds the other end.
      if (piece === undefined) break
      if (piece === 0) {
        Kernel.close(this.descriptor)
        return this.output.close()
      }
      size += piece
      this.output.push(Buffer.from(buffer.subarray(0, piece)))
    }
    this.follow()
  }

  private follow() {
    this.socket = new Socket({ fd: this.descriptor, readable: true, writable: false })
    this.socket.on("data", (chunk: Buffer) => this.output.push(chunk))
    this.socket.on("error", () => {})
    this.socket.on("close", () => this.output.close())
  }
}
