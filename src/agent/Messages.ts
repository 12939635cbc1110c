/** Messages in a stream of bytes: `u32 length | JSON`. */
import { ProtocolError } from "./Frame.ts"

/** Bytes of one message, at most. */
export const maxMessage = 4 * 1024 * 1024

/** A message as bytes. */
export const messageOf = (message: unknown) => {
  const body = JSON.stringify(message)
  // With memory of its own: one that waits to be acknowledged would keep all of the pool that it is a part of.
  const bytes = Buffer.alloc(4 + Buffer.byteLength(body))
  bytes.writeUInt32BE(bytes.length - 4)
  bytes.write(body, 4)
  return bytes
}

/** Takes messages out of a stream that is cut anywhere. Throws `ProtocolError`. */
export class MessageReader {
  private readonly length = Buffer.alloc(4)
  /** What comes of the message whose length is known. */
  private body: Buffer | undefined
  private filled = 0
  private readonly message: (message: unknown) => void

  constructor(message: (message: unknown) => void) {
    this.message = message
  }

  push(chunk: Uint8Array) {
    for (let at = 0; at < chunk.length;) {
      const target = this.body ?? this.length
      const piece = chunk.subarray(at, at + target.length - this.filled)
      target.set(piece, this.filled)
      at += piece.length
      this.filled += piece.length
      if (this.filled < target.length) return
      this.filled = 0
      if (this.body === undefined) {
        const size = this.length.readUInt32BE()
        if (size === 0 || size > maxMessage) throw new ProtocolError(`a message of ${size} bytes`)
        this.body = Buffer.allocUnsafe(size)
      } else {
        const whole = this.body
        this.body = undefined
        this.message(parse(whole))
      }
    }
  }
}

/** Lists and objects in each other, at most. Where they are many, a parser stands still for a second or more. */
const maxDepth = 32

export const parse = (bytes: Buffer): unknown => {
  if (isTooDeep(bytes)) throw new ProtocolError("what should be JSON is too deep")
  try {
    return JSON.parse(bytes.toString())
  } catch {
    throw new ProtocolError("what should be JSON is not")
  }
}

const isTooDeep = (bytes: Buffer) => {
  let depth = 0
  let isText = false
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === quote) isText = !isText
    else if (isText && byte === backslash) at++
    else if (isText) continue
    else if (byte === 0x5b || byte === 0x7b) depth++
    else if (byte === 0x5d || byte === 0x7d) depth--
    if (depth > maxDepth) return true
  }
  return false
}

const quote = 0x22
const backslash = 0x5c
