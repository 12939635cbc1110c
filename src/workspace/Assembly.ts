/**
 * Puts the records of an agent together: changes, and the pieces of files that they name. Every hash is computed here:
 * an agent that lied about one would put its content into another session's files.
 */
import { Option, Schema } from "effect"
import { createHash } from "node:crypto"
import { posix } from "node:path"
import { Kind, RecordReader } from "../agent/snapshot/Records.ts"
import { type Change, maxEntries, PieceHash, pieceSize } from "./Manifest.ts"

export interface Piece {
  readonly hash: PieceHash
  readonly data: Buffer
}

/** What an agent says makes no sense. */
class Nonsense extends Error {}

const EntryOf = Schema.Struct({
  path: Schema.String.pipe(Schema.maxLength(16_384)),
  kind: Schema.Literal("file", "directory", "link"),
  mode: Schema.optional(Schema.Int.pipe(Schema.between(0, 0o7777))),
  modified: Schema.optional(Schema.Finite),
  size: Schema.optional(Schema.Int.pipe(Schema.nonNegative())),
  target: Schema.optional(Schema.String.pipe(Schema.maxLength(16_384))),
})
const decodeEntry = Schema.decodeUnknownOption(EntryOf)
const decodeHole = Schema.decodeUnknownOption(Schema.Struct({ bytes: Schema.Int.pipe(Schema.positive()) }))
const decodeGone = Schema.decodeUnknownOption(Schema.Struct({ path: EntryOf.fields.path }))

/** Of all files together, at most: pieces, holes among them, and characters of paths and targets. */
const maxPieces = 1_000_000
const maxCharacters = 64 * 1024 * 1024

interface OpenFile {
  readonly entry: typeof EntryOf.Type
  readonly pieces: Array<PieceHash | null>
  /** Of the piece that is being filled. */
  buffer: Buffer
  filled: number
  size: number
}

export class Assembly {
  readonly changes: Array<Change> = []
  /** Those that were not taken yet. */
  private ready: Array<Piece> = []
  /** Bytes of them. */
  waiting = 0
  private file: OpenFile | undefined
  private pieces = 0
  /** Characters of paths and of links' targets. */
  private characters = 0
  /** Memory of whole pieces that nobody needs any more: the collector would have most of the work otherwise. */
  private readonly spare: Array<Buffer> = []
  private readonly reader = new RecordReader({
    record: (kind, value) => this.record(kind, value),
    data: (bytes) => this.data(bytes),
  })
  private readonly maxBytes: number

  /** `maxBytes` is how large one file may seem. */
  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  /** Throws `Nonsense` and `ProtocolError`. */
  push(chunk: Uint8Array) {
    this.reader.push(chunk)
  }

  /** They stay as they are until they are given back. */
  take(): ReadonlyArray<Piece> {
    const pieces = this.ready
    this.ready = []
    this.waiting = 0
    return pieces
  }

  giveBack(pieces: ReadonlyArray<Piece>) {
    for (const { data } of pieces) if (data.length === pieceSize) this.spare.push(data)
  }

  /** Whether the stream may end here; a file that has no end then has gone. */
  get isWhole() {
    return this.reader.isBetween
  }

  private record(kind: number, value: unknown) {
    if (this.changes.length > 2 * maxEntries || this.characters > maxCharacters) {
      throw new Nonsense("there are too many files")
    }
    if (kind === Kind.entry) this.entry(known(decodeEntry(value)))
    else if (kind === Kind.hole) this.hole(known(decodeHole(value)).bytes)
    else if (kind === Kind.end) this.end()
    else if (kind === Kind.gone)
      this.changes.push({ kind: "gone", path: inside(known(decodeGone(value)).path) })
    else throw new Nonsense(`a record is of kind ${kind}`)
  }

  private entry(entry: typeof EntryOf.Type) {
    const path = inside(entry.path)
    const { kind, mode = 0, size = 0, target = "" } = entry
    this.characters += path.length + target.length
    // One that was read again begins again.
    this.file = undefined
    if (kind === "directory") this.changes.push({ kind, path, mode })
    else if (kind === "link") this.changes.push({ kind, path, target })
    else {
      this.file = { entry, pieces: [], buffer: this.room(size + 1), filled: 0, size: 0 }
    }
  }

  private data(bytes: Buffer) {
    for (let at = 0; at < bytes.length;) {
      const file = this.opened(bytes.length - at)
      const taken = bytes.copy(file.buffer, file.filled, at)
      // It is larger than its entry says.
      if (taken === 0) throw new Nonsense("a file is larger than it is")
      at += taken
      file.filled += taken
      file.size += taken
      if (file.filled === pieceSize) this.close(file)
    }
  }

  private hole(bytes: number) {
    for (let left = bytes; left > 0;) {
      const file = this.opened(left)
      const zeros = Math.min(left, pieceSize - file.filled)
      if (zeros === pieceSize) this.name(file, null)
      else {
        if (file.filled + zeros > file.buffer.length) throw new Nonsense("a file is larger than it is")
        file.buffer.fill(0, file.filled, file.filled + zeros)
        file.filled += zeros
      }
      file.size += zeros
      left -= zeros
      if (file.filled === pieceSize) this.close(file)
    }
  }

  private end() {
    const { entry, pieces, ...file } = this.opened(0)
    if (file.filled > 0) this.close(this.opened(0))
    const { mode = 0, modified = 0, path } = entry
    this.changes.push({ kind: "file", path, mode, modified, size: file.size, pieces })
    this.file = undefined
  }

  private opened(more: number) {
    if (this.file === undefined || this.file.size + more > this.maxBytes)
      throw new Nonsense("bytes of no file")
    return this.file
  }

  private name(file: OpenFile, hash: PieceHash | null) {
    if (++this.pieces > maxPieces) throw new Nonsense("the files are too large")
    file.pieces.push(hash)
  }

  private room(bytes: number) {
    if (bytes < pieceSize) return Buffer.allocUnsafe(bytes)
    return this.spare.pop() ?? Buffer.allocUnsafeSlow(pieceSize)
  }

  /** A piece is whole. */
  private close(file: OpenFile) {
    const filled = file.buffer.subarray(0, file.filled)
    // One that says that it is larger than it is takes no more than it has.
    const data = filled.length < file.buffer.length - 1 ? Buffer.from(filled) : filled
    file.filled = 0
    if (data.length === pieceSize && isZero(data)) return this.name(file, null)
    const hash = PieceHash.make(createHash("sha256").update(data).digest("hex"), { disableValidation: true })
    this.name(file, hash)
    this.ready.push({ hash, data })
    this.waiting += data.length
    // The next one may be shorter, by how much the file says.
    const { size = 0 } = file.entry
    if (data.length === pieceSize) file.buffer = this.room(Math.max(size - file.size, 0) + 1)
  }
}

const inside = (path: string) => {
  if (
    !/^(workspace|home)\/[^]/.test(path) ||
    posix.normalize(path) !== path ||
    path.endsWith("/") ||
    path.includes("\0")
  ) {
    throw new Nonsense("a path leads elsewhere")
  }
  return path
}

const known = <A>(value: Option.Option<A>) => {
  if (Option.isNone(value)) throw new Nonsense("a record makes no sense")
  return value.value
}

const zeros = Buffer.alloc(pieceSize)
const isZero = (data: Buffer) => data[0] === 0 && data.equals(zeros)
