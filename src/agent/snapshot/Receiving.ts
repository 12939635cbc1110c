/** Makes files, folders and links of records, in a sandbox in which no program runs yet. */
import {
  chmodSync,
  closeSync,
  fchmodSync,
  ftruncateSync,
  futimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeSync,
} from "node:fs"
import { posix } from "node:path"
import { bytesOf, isPlain } from "../files/Names.ts"
import { codeOf, Refusal } from "../files/Refusal.ts"
import { type EntryRecord, Kind, RecordReader } from "./Records.ts"

export class Receiving {
  private readonly roots: ReadonlyMap<string, string>
  private readonly reader: RecordReader
  private open: { readonly fd: number; readonly entry: EntryRecord; position: number } | undefined
  /** Folders get their permissions last: one may be that nothing can be put in. */
  private readonly folders: Array<{ readonly path: string | Buffer; readonly mode: number }> = []

  /** Folders, by what paths in records begin with. */
  constructor(roots: ReadonlyMap<string, string>) {
    this.roots = roots
    this.reader = new RecordReader({
      record: (kind, value) => this.record(kind, value),
      data: (bytes) => this.data(bytes),
    })
  }

  push(chunk: Uint8Array) {
    this.reader.push(chunk)
  }

  /** All has come. */
  finish() {
    if (!this.reader.isBetween || this.open !== undefined) throw new Refusal("aborted")
    for (const { path, mode } of this.folders.toReversed()) chmodSync(path, mode)
  }

  /** What is half done is left to go with the sandbox. */
  close() {
    if (this.open !== undefined) closeSync(this.open.fd)
    this.open = undefined
  }

  private record(kind: number, value: unknown) {
    if (kind === Kind.entry) this.begin(value as EntryRecord)
    else if (kind === Kind.hole && this.open !== undefined) {
      this.open.position += (value as { readonly bytes: number }).bytes
    } else if (kind === Kind.end && this.open !== undefined) {
      const { fd, entry, position } = this.open
      ftruncateSync(fd, position)
      if (entry.mode !== undefined) fchmodSync(fd, entry.mode)
      if (entry.modified !== undefined) futimesSync(fd, entry.modified / 1000, entry.modified / 1000)
      this.close()
    } else throw new Refusal("aborted")
  }

  private begin(entry: EntryRecord) {
    const { kind, mode = 0o755, target } = entry
    const [name = "", ...parts] = entry.path.split("/")
    const root = this.roots.get(name)
    if (root === undefined || parts.length === 0 || posix.normalize(entry.path) !== entry.path) {
      throw new Refusal("outside")
    }
    const path = `${root}/${parts.join("/")}`
    const place = placeOf(path)
    this.close()
    if (kind === "file") {
      const fd = inFolder(path, () => openSync(place, "wx", 0o600))
      this.open = { fd, entry, position: 0 }
    } else if (kind === "link") {
      inFolder(path, () => symlinkSync(placeOf(target ?? ""), place))
    } else {
      mkdirSync(place, { recursive: true, mode: 0o700 })
      this.folders.push({ path: place, mode })
    }
  }

  private data(bytes: Buffer) {
    const { open } = this
    if (open === undefined) throw new Refusal("aborted")
    // What is zero takes no room: a file may have had a hole there.
    for (let at = 0; at < bytes.length;) {
      let end = at
      while (end < bytes.length && !isZero(bytes, end)) end = Math.min(end + block, bytes.length)
      for (let from = at; from < end;) {
        const written = writeSync(open.fd, bytes, from, end - from, open.position)
        from += written
        open.position += written
      }
      for (at = end; at < bytes.length && isZero(bytes, at); at += block) open.position += block
    }
  }
}

/** As much as takes room by itself. */
const block = 4096
const zeros = Buffer.alloc(block)

/** Whether a whole block of zeros begins there. */
const isZero = (bytes: Buffer, from: number) => zeros.equals(bytes.subarray(from, from + block))

const placeOf = (path: string) => (isPlain(path) ? path : bytesOf(path))

/** Makes the folders above where they are missing. */
const inFolder = <A>(path: string, make: () => A): A => {
  try {
    return make()
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error
    mkdirSync(placeOf(posix.dirname(path)), { recursive: true })
    return make()
  }
}
