/** The standard input of a command. */
import { writeSync } from "node:fs"
import { Socket } from "node:net"
import type { ReadStream } from "node:tty"

export interface Input {
  readonly write: (chunk: Uint8Array, done: () => void) => void
  readonly end: () => void
}

export const pipeInput = (descriptor: number): Input => {
  const socket = new Socket({ fd: descriptor, readable: false, writable: true })
  // What a command does not take, because it ended or closed its input, is dropped, as in a shell's pipe.
  socket.on("error", () => {})
  return {
    write: (chunk, done) => {
      if (socket.destroyed) done()
      else socket.write(chunk, () => done())
    },
    end: () => socket.end(),
  }
}

/**
 * A terminal takes what it has room for, and the rest a little later. Its end of input is the character ^D. Once the
 * reader has closed the descriptor, which may be another's then, nothing more is written.
 */
export const terminalInput = (descriptor: number, reader: ReadStream): Input => {
  const waiting: Array<{ chunk: Uint8Array; readonly done: () => void }> = []
  const flush = () => {
    while (waiting.length > 0) {
      const first = waiting[0]!
      try {
        first.chunk = first.chunk.subarray(
          reader.destroyed ? first.chunk.length : writeSync(descriptor, first.chunk),
        )
      } catch (error) {
        if (error instanceof Error && "code" in error && error.code === "EAGAIN") {
          setTimeout(flush, 10)
          return
        }
        first.chunk = first.chunk.subarray(first.chunk.length)
      }
      if (first.chunk.length === 0) {
        waiting.shift()
        first.done()
      }
    }
  }
  const write: Input["write"] = (chunk, done) => {
    waiting.push({ chunk, done })
    if (waiting.length === 1) flush()
  }
  return { write, end: () => write(Buffer.from([4]), () => {}) }
}
