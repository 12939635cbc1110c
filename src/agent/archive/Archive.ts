/** What archives are made of, in either direction and whatever their format. */
import { posix } from "node:path"
import { Readable, type Transform } from "node:stream"
import { pipeline } from "node:stream/promises"
import { codeOf, Refusal } from "../files/Refusal.ts"

export interface ArchiveEntry {
  /** As the archive has it; names that are no text are written as in `files/Names.ts`. */
  readonly path: string
  /** `same`: another name of a file that came before. */
  readonly kind: "file" | "directory" | "link" | "same" | "other"
  /** Where a link leads; the path of the file that it is `same` as. */
  readonly target: string
  /** Permission bits. */
  readonly mode: number
  /** In milliseconds since 1970. */
  readonly modified: number
  /** Of a file, in bytes. */
  readonly size: number
  /** The bytes of a file, to be read before the next entry is asked for, or not at all. */
  readonly data: () => AsyncIterable<Buffer>
}

export type Bytes = AsyncIterable<Uint8Array>

/** Bytes as a transform of zlib makes them. What it cannot read is no archive. */
export async function* through(source: Bytes, transform: Transform): AsyncGenerator<Buffer> {
  const fed = pipeline(Readable.from(source), transform)
  // It is told of by what is read below.
  fed.catch(() => {})
  try {
    yield* transform as AsyncIterable<Buffer>
    await fed
  } catch (error) {
    throw codeOf(error)?.startsWith("Z_") === true ? new Refusal("bad_archive") : error
  }
}

/** How hard files are compressed: most of what there is to gain, in half of the time. */
export const level = 4

/** Bytes of a path, and folders in folders, at most. */
export const maxPath = 4000
export const maxDepth = 100

/** The parts of a path that stays below where it begins; undefined for any other. */
export const partsOf = (path: string) => {
  if (path.startsWith("/") || path.includes("\0") || Buffer.byteLength(path) > maxPath) return undefined
  const parts = path.split("/").filter((part) => part !== "" && part !== ".")
  return parts.length > maxDepth || parts.some((part) => part === ".." || Buffer.byteLength(part) > 255)
    ? undefined
    : parts
}

/**
 * Whether a link leads to a place below where its archive begins. Its folder is no link, and `..` may stand at the
 * beginning alone: after a name, which may be a link, it could lead anywhere.
 */
export const leadsInside = (path: string, target: string) => {
  if (target === "" || target.startsWith("/") || target.includes("\0") || Buffer.byteLength(target) > maxPath)
    return false
  const rest = target.replace(/^(?:\.{1,2}(?:\/+|$))*/, "")
  if (rest.split("/").includes("..")) return false
  const whole = posix.join(posix.dirname(path), target)
  return whole !== ".." && !whole.startsWith("../")
}

/** Bounds of what one archive unpacks to. */
export interface Bounds {
  readonly maxEntries: number
  readonly maxBytes: number
}

/** How many times larger than its archive anything may be, once it is large. */
const maxRatio = 200
const large = 64 * 1024 * 1024

/** Counts what an archive comes to; refuses it where that is past its bounds. */
export class Meter {
  private readonly bounds: Bounds
  /** Bytes of the archive itself, so far. */
  packed = 0
  private unpacked = 0
  private entries = 0

  constructor(bounds: Bounds) {
    this.bounds = bounds
  }

  entry() {
    if (++this.entries > this.bounds.maxEntries) throw new Refusal("too_many")
  }

  bytes(count: number) {
    this.unpacked += count
    if (this.unpacked > this.bounds.maxBytes) throw new Refusal("too_much")
    if (this.unpacked > large && this.unpacked > maxRatio * this.packed) throw new Refusal("too_much")
  }

  async *counted<A extends Uint8Array>(source: AsyncIterable<A>) {
    for await (const chunk of source) {
      this.bytes(chunk.length)
      yield chunk
    }
  }
}
