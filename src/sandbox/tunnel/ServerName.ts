/**
 * Whom a TLS client wants to talk to, by the first bytes that it sends (RFC 8446, 4.1.2 and 5.1; RFC 6066, 3). They are
 * looked at and passed on as they are. A name that is encrypted cannot be compared with anything: such a hello is refused.
 */

/** Bytes of a hello, with its records' headers, at most: several times what clients send. */
export const maxHello = 16 * 1024

export type Hello =
  | { readonly _tag: "Incomplete" }
  | { readonly _tag: "Name"; readonly name: string }
  | { readonly _tag: "Refused"; readonly reason: string }

/** Judges what has come so far. */
export const helloOf = (bytes: Uint8Array): Hello => {
  try {
    const body = handshake(bytes)
    if (body !== undefined) return nameIn(body)
    return bytes.length < maxHello ? { _tag: "Incomplete" } : refused(tooLong)
  } catch (error) {
    if (error instanceof Malformed) return refused(error.message)
    throw error
  }
}

const nameIn = (body: Uint8Array): Hello => {
  const hello = new Reader(body)
  hello.take(2 + 32)
  hello.vector(1)
  hello.vector(2)
  hello.vector(1)
  const extensions = new Reader(hello.isAtEnd ? new Uint8Array() : hello.vector(2))
  const names: Array<string> = []
  while (!extensions.isAtEnd) {
    const kind = extensions.number(2)
    const extension = new Reader(extensions.vector(2))
    if (kind === encryptedHello || kind === encryptedName) return refused("its server name is encrypted")
    if (kind !== serverName) continue
    const list = new Reader(extension.vector(2))
    while (!list.isAtEnd) {
      if (list.number(1) !== 0) return refused("its server name is of an unknown kind")
      names.push(Buffer.from(list.vector(2)).toString("latin1"))
    }
  }
  const [name] = names
  if (name === undefined) return refused("it names no server (SNI)")
  return names.length > 1 ? refused("it names several servers") : { _tag: "Name", name: name.toLowerCase() }
}

/** The ClientHello out of one record or several; undefined where more has to come. */
const handshake = (bytes: Uint8Array) => {
  const parts: Array<number> = []
  for (let at = 0; at < bytes.length;) {
    const [type, version] = [bytes[at], bytes[at + 1] ?? 3]
    if (type !== handshakeRecord || version !== 3) throw new Malformed("it begins with no TLS handshake")
    if (bytes.length < at + recordHeader) return undefined
    const length = bytes[at + 3]! * 256 + bytes[at + 4]!
    if (length === 0 || length > maxHello) throw new Malformed(malformed)
    parts.push(...bytes.subarray(at + recordHeader, at + recordHeader + length))
    at += recordHeader + length
    if (parts[0] !== undefined && parts[0] !== clientHello)
      throw new Malformed("it begins with no ClientHello")
    const size = parts.length < 4 ? Infinity : parts[1]! * 65536 + parts[2]! * 256 + parts[3]!
    if (size < Infinity && size > maxHello) throw new Malformed(tooLong)
    if (parts.length >= 4 + size) return Uint8Array.from(parts.slice(4, 4 + size))
  }
  return undefined
}

class Malformed extends Error {}

class Reader {
  private at = 0
  private readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  get isAtEnd() {
    return this.at === this.bytes.length
  }

  take(length: number) {
    if (this.bytes.length - this.at < length) throw new Malformed(malformed)
    this.at += length
    return this.bytes.subarray(this.at - length, this.at)
  }

  number(size: number) {
    return this.take(size).reduce((sum, byte) => sum * 256 + byte, 0)
  }

  /** What stands behind its length, which takes `size` bytes. */
  vector(size: number) {
    return this.take(this.number(size))
  }
}

const refused = (reason: string): Hello => ({ _tag: "Refused", reason })

const tooLong = "its ClientHello is too long"
const malformed = "its ClientHello is malformed"
const recordHeader = 5
export const handshakeRecord = 22
const clientHello = 1
const serverName = 0
const encryptedHello = 0xfe0d
const encryptedName = 0xffce
