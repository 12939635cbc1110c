/** Archives of zip, which are read from their end. (PKWARE APPNOTE 6.3.10.) */
import type { FileHandle } from "node:fs/promises"
import { crc32, createDeflateRaw, createInflateRaw, deflateRawSync, inflateRawSync } from "node:zlib"
import { bytesOf, isPlain, nameOf } from "../files/Names.ts"
import { Refusal } from "../files/Refusal.ts"
import { type ArchiveEntry, level, maxPath, type Meter, through } from "./Archive.ts"

const signature = { file: 0x04034b50, sizes: 0x08074b50, central: 0x02014b50, end: 0x06054b50 }
const stored = 0
const deflated = 8
const pieceSize = 64 * 1024
const small = 64 * 1024

/** Bytes of the list of all entries, at most. */
const maxList = 64 * 1024 * 1024

/** By the kind of file that an entry of Unix says. */
const kinds: Readonly<Record<number, ArchiveEntry["kind"]>> = {
  0: "file",
  0o100000: "file",
  0o040000: "directory",
  0o120000: "link",
}

/** The entries of an archive in a file of that size, as its list at the end names them; counts what they come to. */
export async function* read(file: FileHandle, size: number, meter: Meter): AsyncGenerator<ArchiveEntry> {
  const list = await listOf(file, size)
  for (let at = 0; at < list.bytes.length && list.left > 0; list.left--) {
    if (at + 46 > list.bytes.length || list.bytes.readUInt32LE(at) !== signature.central)
      throw new Refusal("bad_archive")
    const header = list.bytes.subarray(at)
    const [names, extras, comments] = [28, 30, 32].map((place) => header.readUInt16LE(place)) as [
      number,
      number,
      number,
    ]
    at += 46 + names + extras + comments
    if (at > list.bytes.length) throw new Refusal("bad_archive")
    const path = nameOf(header.subarray(46, 46 + names))
    const packed = header.readUInt32LE(20)
    const isEncrypted = (header.readUInt16LE(8) & 1) !== 0
    const method = header.readUInt16LE(10)
    const attributes = header[5] === unix ? header.readUInt32LE(38) >>> 16 : 0
    const kind = path.endsWith("/") ? "directory" : (kinds[attributes & 0o170000] ?? "other")
    const isReadable = !isEncrypted && (method === stored || method === deflated)
    const entry = {
      path,
      mode: attributes & 0o777 || (kind === "directory" ? 0o755 : 0o644),
      modified: timeOf(header.readUInt16LE(14), header.readUInt16LE(12)),
      size: header.readUInt32LE(24),
      kind: isReadable ? kind : ("other" as const),
      target: "",
    }
    const offset = header.readUInt32LE(42)
    const data = () =>
      meter.counted(
        contents(file, { offset, packed, method, size: entry.size, crc: header.readUInt32LE(16) }),
      )
    if (entry.kind !== "link") yield { ...entry, data }
    else {
      if (entry.size > maxPath) throw new Refusal("bad_archive")
      yield { ...entry, target: nameOf(await gathered(data())), data }
    }
  }
  if (list.left > 0) throw new Refusal("bad_archive")
}

const unix = 3

/** What stands at the end, behind which there may be a comment. */
const listOf = async (file: FileHandle, size: number) => {
  const tail = await bytesAt(file, Math.max(0, size - 65_557), Math.min(size, 65_557))
  for (let at = tail.length - 22; at >= 0; at--) {
    if (tail.readUInt32LE(at) !== signature.end || at + 22 + tail.readUInt16LE(at + 20) !== tail.length)
      continue
    const [left, length, begin] = [
      tail.readUInt16LE(at + 10),
      tail.readUInt32LE(at + 12),
      tail.readUInt32LE(at + 16),
    ]
    // What is written so stands elsewhere: there is more than may be.
    if (left === 0xffff || length === 0xffffffff || begin === 0xffffffff) throw new Refusal("too_many")
    if (length > maxList) throw new Refusal("too_many")
    return { left, bytes: await bytesAt(file, begin, length) }
  }
  throw new Refusal("bad_archive")
}

const bytesAt = async (file: FileHandle, at: number, length: number) => {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at)
  if (bytesRead !== length) throw new Refusal("bad_archive")
  return buffer
}

interface Contents {
  readonly offset: number
  readonly packed: number
  readonly method: number
  readonly size: number
  readonly crc: number
}

async function* contents(file: FileHandle, { offset, packed, method, size, crc }: Contents) {
  const header = await bytesAt(file, offset, 30)
  if (header.readUInt32LE(0) !== signature.file) throw new Refusal("bad_archive")
  const begin = offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28)
  const pieces = async function* () {
    for (let at = begin; at < begin + packed; at += pieceSize)
      yield await bytesAt(file, at, Math.min(pieceSize, begin + packed - at))
  }
  const sum = { crc: 0, size: 0 }
  const isSmall = packed <= small && size <= small
  const parts =
    method === stored
      ? pieces()
      : isSmall
        ? inflated(await bytesAt(file, begin, packed), size)
        : through(pieces(), createInflateRaw())
  for await (const part of summed(parts, sum)) {
    if (sum.size > size) throw new Refusal("bad_archive")
    yield part
  }
  if (sum.size !== size || sum.crc !== crc) throw new Refusal("bad_archive")
}

/** What is small is done at once: a stream costs more than it. */
async function* inflated(bytes: Buffer, size: number) {
  try {
    yield inflateRawSync(bytes, { maxOutputLength: Math.max(1, size) })
  } catch {
    throw new Refusal("bad_archive")
  }
}

/** Writes entries; sizes and sums of large files stand behind their data, for they are not known before. */
export async function* write(entries: AsyncIterable<ArchiveEntry>): AsyncGenerator<Buffer> {
  const list: Array<Buffer> = []
  let written = 0
  const put = (bytes: Buffer) => {
    written += bytes.length
    // It has no way to say where anything stands that comes later.
    if (written > 0xffffffff) throw new Refusal("too_much")
    return bytes
  }
  for await (const entry of entries) {
    if (list.length === 0xfffe) throw new Refusal("too_many")
    const isLarge = entry.kind === "file" && entry.size > small
    const name = raw(entry.kind === "directory" ? `${entry.path}/` : entry.path)
    const offset = written
    const header = Buffer.alloc(26)
    header.writeUInt16LE(20, 0)
    // Names are UTF-8; sizes come later.
    header.writeUInt16LE(isLarge ? 0x0808 : 0x0800, 2)
    header.writeUInt16LE(entry.kind === "file" ? deflated : stored, 4)
    header.writeUInt32LE(dosTime(entry.modified), 6)
    header.writeUInt16LE(name.length, 22)
    if (isLarge) {
      yield put(Buffer.concat([uint32(signature.file), header, name]))
      const sum = { crc: 0, size: 0 }
      const before = written
      for await (const part of through(summed(entry.data(), sum), createDeflateRaw({ level })))
        yield put(part)
      sizesOf(sum.crc, written - before, sum.size).copy(header, 10)
      yield put(Buffer.concat([uint32(signature.sizes), header.subarray(10, 22)]))
    } else {
      const whole = entry.kind === "file" ? await gathered(entry.data()) : raw(entry.target)
      const body = entry.kind === "file" ? deflateRawSync(whole, { level }) : whole
      sizesOf(crc32(whole), body.length, whole.length).copy(header, 10)
      yield put(Buffer.concat([uint32(signature.file), header, name, body]))
    }
    const more = Buffer.alloc(14)
    more.writeUInt32LE((((typeBits[entry.kind] ?? 0) | (entry.mode & 0o777)) << 16) >>> 0, 6)
    more.writeUInt32LE(offset, 10)
    list.push(Buffer.concat([uint32(signature.central), Buffer.from([20, unix]), header, more, name]))
  }
  const begin = written
  for (const entry of list) yield put(entry)
  const end = Buffer.alloc(22)
  end.writeUInt32LE(signature.end, 0)
  end.writeUInt16LE(list.length, 8)
  end.writeUInt16LE(list.length, 10)
  end.writeUInt32LE(written - begin, 12)
  end.writeUInt32LE(begin, 16)
  yield put(end)
}

async function* summed(data: AsyncIterable<Buffer>, sum: { crc: number; size: number }) {
  for await (const part of data) {
    sum.crc = crc32(part, sum.crc)
    sum.size += part.length
    yield part
  }
}

const gathered = async (data: AsyncIterable<Buffer>) => {
  const parts: Array<Buffer> = []
  for await (const part of data) parts.push(part)
  return Buffer.concat(parts)
}

const typeBits: Readonly<Record<string, number>> = { file: 0o100000, directory: 0o040000, link: 0o120000 }

const sizesOf = (crc: number, packed: number, size: number) =>
  Buffer.concat([uint32(crc), uint32(packed), uint32(size)])

const uint32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

/** Taken as UTC, for nobody says of where it is. */
const timeOf = (date: number, time: number) =>
  Date.UTC(
    (date >> 9) + 1980,
    ((date >> 5) & 15) - 1,
    date & 31,
    time >> 11,
    (time >> 5) & 63,
    (time & 31) * 2,
  )

const dosTime = (modified: number) => {
  const at = new Date(Math.min(Math.max(modified, Date.UTC(1980, 0, 1)), Date.UTC(2107, 11, 31)))
  const date = ((at.getUTCFullYear() - 1980) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate()
  const time = (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1)
  return ((date << 16) | time) >>> 0
}

const raw = (name: string) => (isPlain(name) ? Buffer.from(name) : bytesOf(name))
