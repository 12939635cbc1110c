/** Archives of tar: ustar, with the additions of pax and GNU for long names. (POSIX.1-2017, pax, "ustar Interchange Format".) */
import { isPlain, bytesOf, nameOf } from "../files/Names.ts"
import { Refusal } from "../files/Refusal.ts"
import type { ArchiveEntry, Bytes } from "./Archive.ts"

const block = 512
const blank = Buffer.alloc(block)

/** Bytes of a header's additions, at most. */
const maxAddition = 64 * 1024

/** Takes so many bytes at a time out of a stream that is cut anywhere. */
class Source {
  private readonly chunks: AsyncIterator<Uint8Array>
  private rest: Buffer = Buffer.alloc(0)

  constructor(bytes: Bytes) {
    this.chunks = bytes[Symbol.asyncIterator]()
  }

  /** Exactly so many bytes; undefined where the stream has ended. */
  async take(count: number) {
    const parts: Array<Buffer> = []
    for (let left = count; left > 0;) {
      const part = await this.some(left)
      if (part === undefined && left === count) return undefined
      if (part === undefined) throw new Refusal("bad_archive")
      parts.push(part)
      left -= part.length
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
  }

  /** One byte to `most` of them. */
  async some(most: number): Promise<Buffer | undefined> {
    while (this.rest.length === 0) {
      const { done, value } = await this.chunks.next()
      if (done === true) return undefined
      this.rest = Buffer.from(value.buffer, value.byteOffset, value.length)
    }
    const part = this.rest.subarray(0, most)
    this.rest = this.rest.subarray(part.length)
    return part
  }

  async drain() {
    this.rest = Buffer.alloc(0)
    while ((await this.chunks.next()).done !== true);
  }
}

/** The entries of an archive, in order. */
export async function* read(bytes: Bytes): AsyncGenerator<ArchiveEntry> {
  const source = new Source(bytes)
  const additions = new Map<string, string>()
  let isEmpty = true
  for (;;) {
    const header = await source.take(block)
    if (header === undefined) {
      if (isEmpty) throw new Refusal("bad_archive")
      return
    }
    // Two blocks of zeros end it, and padding may follow.
    if (header.equals(blank)) return await source.drain()
    if (numberOf(header, 148, 8) !== checksum(header)) throw new Refusal("bad_archive")
    isEmpty = false
    const type = String.fromCharCode(header[156]!)
    const size = sizeOf(additions.get("size")) ?? numberOf(header, 124, 12)
    const padding = (block - (size % block)) % block
    if (type in added) {
      if (size > maxAddition) throw new Refusal("bad_archive")
      const body = await source.take(size)
      if (size > 0 && body === undefined) throw new Refusal("bad_archive")
      await source.take(padding)
      added[type]?.(additions, body ?? Buffer.alloc(0))
      continue
    }
    let left = size
    const data = async function* () {
      while (left > 0) {
        const part = await source.some(left)
        if (part === undefined) throw new Refusal("bad_archive")
        left -= part.length
        yield part
      }
    }
    const prefix =
      header.subarray(257, 262).toString() === "ustar" && header[262] === 0 ? text(header, 345, 155) : ""
    const name = text(header, 0, 100)
    const path = additions.get("path") ?? (prefix === "" ? name : `${prefix}/${name}`)
    yield {
      path,
      kind: type === "0" && path.endsWith("/") ? "directory" : (kinds[type] ?? "other"),
      target: additions.get("linkpath") ?? text(header, 157, 100),
      mode: numberOf(header, 100, 8) & 0o777,
      modified: numberOf(header, 136, 12) * 1000,
      size,
      data,
    }
    additions.clear()
    for await (const _ of data());
    if (padding > 0 && (await source.take(padding)) === undefined) return
  }
}

/** Whether these bytes begin an archive of tar. */
export const isTar = (begin: Buffer) =>
  begin.length >= block && parsed(begin, 148, 8) === checksum(begin.subarray(0, block))

/** Writes entries, whose data is as long as they say. */
export async function* write(entries: AsyncIterable<ArchiveEntry>): AsyncGenerator<Buffer> {
  for await (const entry of entries) {
    yield headerOf(entry)
    if (entry.kind !== "file") continue
    yield* entry.data()
    if (entry.size % block > 0) yield zeros(block - (entry.size % block))
  }
  yield zeros(2 * block)
}

const kinds: Readonly<Record<string, ArchiveEntry["kind"]>> = {
  "0": "file",
  "\0": "file",
  "7": "file",
  "1": "same",
  "2": "link",
  "5": "directory",
}

/** What stands before a header and adds to it. */
const added: Readonly<Record<string, (additions: Map<string, string>, body: Buffer) => void>> = {
  x: (additions, body) => {
    for (let at = 0; at < body.length;) {
      const space = body.indexOf(" ", at)
      const length = Number(body.toString("latin1", at, space))
      if (space < 0 || !Number.isInteger(length) || length < space - at + 3 || at + length > body.length)
        throw new Refusal("bad_archive")
      const record = body.subarray(space + 1, at + length - 1)
      const equals = record.indexOf("=")
      additions.set(record.toString("latin1", 0, equals), nameOf(record.subarray(equals + 1)))
      at += length
    }
  },
  // Of all that follow: nothing that is wanted here.
  g: () => {},
  L: (additions, body) => additions.set("path", nameOf(untilZero(body))),
  K: (additions, body) => additions.set("linkpath", nameOf(untilZero(body))),
}

const sizeOf = (given: string | undefined) => {
  if (given === undefined) return undefined
  if (!/^\d{1,15}$/.test(given)) throw new Refusal("bad_archive")
  return Number(given)
}

const untilZero = (bytes: Buffer) => {
  const end = bytes.indexOf(0)
  return end < 0 ? bytes : bytes.subarray(0, end)
}

const text = (header: Buffer, at: number, length: number) =>
  nameOf(untilZero(header.subarray(at, at + length)))

const numberOf = (header: Buffer, at: number, length: number) => {
  const value = parsed(header, at, length)
  if (value === undefined) throw new Refusal("bad_archive")
  return value
}

/** In octal; of GNU also in base 256, which a negative time is written in too. */
const parsed = (header: Buffer, at: number, length: number) => {
  if (header[at]! >= 0x80) {
    if (header[at] !== 0x80) return 0
    const isLarge = header.subarray(at + 1, at + length - 6).some((byte) => byte !== 0)
    return isLarge ? undefined : header.readUIntBE(at + length - 6, 6)
  }
  const digits = header
    .toString("latin1", at, at + length)
    .replace(/[\0 ]+$/, "")
    .trim()
  return /^[0-7]*$/.test(digits) ? parseInt(digits || "0", 8) : undefined
}

/** With its own field as if it were blank. */
const checksum = (header: Buffer) => {
  let sum = 8 * 32
  for (let at = 0; at < block; at++) if (at < 148 || at >= 156) sum += header[at]!
  return sum
}

const zeros = (count: number) => Buffer.alloc(count)

const headerOf = (entry: ArchiveEntry) => {
  const path = Buffer.concat([raw(entry.path), Buffer.from(entry.kind === "directory" ? "/" : "")])
  const target = raw(entry.target)
  const size = entry.kind === "file" ? entry.size : 0
  const long = Buffer.concat([
    ...(path.length > 100 ? [record("path", path)] : []),
    ...(target.length > 100 ? [record("linkpath", target)] : []),
    ...(size >= 8 ** 11 ? [record("size", Buffer.from(String(size)))] : []),
  ])
  const type = entry.kind === "directory" ? "5" : entry.kind === "link" ? "2" : "0"
  const own = header(path, target, type, size % 8 ** 11, entry)
  if (long.length === 0) return own
  const padding = zeros((block - (long.length % block)) % block)
  return Buffer.concat([header(Buffer.from("pax"), zeros(0), "x", long.length, entry), long, padding, own])
}

const header = (
  path: Buffer,
  target: Buffer,
  type: string,
  size: number,
  { mode, modified }: ArchiveEntry,
) => {
  const bytes = zeros(block)
  const octal = (value: number, at: number, length: number) =>
    bytes.write(
      Math.floor(value)
        .toString(8)
        .padStart(length - 1, "0"),
      at,
    )
  path.copy(bytes, 0, 0, 100)
  octal(mode & 0o777, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(size, 124, 12)
  octal(Math.min(Math.max(0, modified / 1000), 8 ** 11 - 1), 136, 12)
  bytes.write(type, 156)
  target.copy(bytes, 157, 0, 100)
  bytes.write("ustar\x0000", 257)
  bytes.write(`${checksum(bytes).toString(8).padStart(6, "0")}\0 `, 148)
  return bytes
}

/** One of pax, whose length counts its own digits. */
const record = (key: string, value: Buffer) => {
  const rest = key.length + value.length + 3
  const digits = String(rest + String(rest).length).length
  return Buffer.concat([Buffer.from(`${rest + digits} ${key}=`), value, Buffer.from("\n")])
}

const raw = (name: string) => (isPlain(name) ? Buffer.from(name) : bytesOf(name))
