/**
 * Makes files, folders and links of an archive, below a folder. An archive may be hostile, and programs of the sandbox
 * may change folders meanwhile: each folder is opened by its name in the one above it, and none as a link, so that
 * nothing is ever made elsewhere. What cannot be made safely is left out, and told of.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  futimesSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from "node:fs"
import { bytesOf, isPlain } from "../files/Names.ts"
import { codeOf } from "../files/Refusal.ts"
import { Slices } from "../files/Slices.ts"
import { at } from "../files/Workspace.ts"
import { type ArchiveEntry, leadsInside, type Meter, partsOf } from "./Archive.ts"

const folderFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
const fileFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

/** Why an entry was left out. */
type Reason = "path" | "link" | "kind" | "in_the_way"

/** Those that are named in an answer. */
const maxTold = 20

class LeftOut extends Error {
  readonly reason: Reason

  constructor(reason: Reason) {
    super(reason)
    this.reason = reason
  }
}

export class Unpacking {
  private readonly base: { readonly fd: number }
  private readonly meter: Meter
  /** The folders that lead to the entry before, each open. */
  private trail: Array<{ readonly name: string; readonly fd: number }> = []
  private readonly slices = new Slices(Infinity)
  readonly done = { files: 0, folders: 0, links: 0, bytes: 0, skippedCount: 0 }
  readonly skipped: Array<{ readonly path: string; readonly reason: Reason }> = []

  constructor(base: { readonly fd: number }, meter: Meter) {
    this.base = base
    this.meter = meter
  }

  async all(entries: AsyncIterable<ArchiveEntry>) {
    try {
      for await (const entry of entries) {
        this.meter.entry()
        try {
          await this.one(entry)
        } catch (error) {
          if (!(error instanceof LeftOut)) throw error
          this.done.skippedCount++
          if (this.skipped.length < maxTold)
            this.skipped.push({ path: entry.path.slice(0, 200), reason: error.reason })
        }
        await this.slices.pause()
      }
    } finally {
      this.leave(0)
    }
  }

  private async one(entry: ArchiveEntry) {
    const parts = partsOf(entry.path)
    if (parts === undefined) throw new LeftOut("path")
    const name = parts.at(-1)
    // The folder that all are below.
    if (name === undefined) return
    if (entry.kind === "directory") {
      this.folder(parts)
      this.done.folders++
    } else if (entry.kind === "file") await this.file(entry, this.folder(parts.slice(0, -1)), name)
    else if (entry.kind === "link") {
      if (!leadsInside(parts.join("/"), entry.target)) throw new LeftOut("link")
      const place = at(this.folder(parts.slice(0, -1)), name)
      make(place, () => symlinkSync(isPlain(entry.target) ? entry.target : bytesOf(entry.target), place))
      this.done.links++
    } else if (entry.kind === "same") this.again(entry, parts, name)
    else throw new LeftOut("kind")
  }

  private async file(entry: ArchiveEntry, folder: { readonly fd: number }, name: string) {
    // Its name in an open folder, which the next entry may close: it is over by then.
    const place = at(folder, name)
    const fd = make(place, () => openSync(place, fileFlags, 0o600))
    let isWhole = false
    try {
      for await (const part of entry.data()) {
        for (let from = 0; from < part.length;) from += writeSync(fd, part, from)
        this.done.bytes += part.length
        await this.slices.pause()
      }
      fchmodSync(fd, 0o600 | entry.mode)
      const seconds = Math.min(Math.max(0, entry.modified / 1000), latest)
      if (Number.isFinite(seconds)) futimesSync(fd, seconds, seconds)
      isWhole = true
    } finally {
      closeSync(fd)
      if (!isWhole) unlinkSync(place)
    }
    this.done.files++
  }

  /** Another name of a file, which must be one of those below. */
  private again(entry: ArchiveEntry, parts: ReadonlyArray<string>, name: string) {
    const other = partsOf(entry.target)
    const otherName = other?.at(-1)
    if (other === undefined || otherName === undefined) throw new LeftOut("link")
    const isItself = other.join("/") === parts.join("/")
    if (isItself) return
    // Both at once, while the way to one leads away from the other.
    const source = openAnew(this.folder(other.slice(0, -1)))
    try {
      const from = at(source, otherName)
      if (!isFileAt(from)) throw new LeftOut("link")
      const place = at(this.folder(parts.slice(0, -1)), name)
      make(place, () => linkSync(from, place))
    } finally {
      closeSync(source.fd)
    }
    this.done.files++
  }

  /** Opens the folder that these parts lead to; makes what is missing. */
  private folder(parts: ReadonlyArray<string>): { readonly fd: number } {
    let known = 0
    while (known < parts.length && this.trail[known]?.name === parts[known]) known++
    this.leave(known)
    for (const name of parts.slice(known)) {
      const fd = open(this.trail.at(-1) ?? this.base, name)
      this.trail.push({ name, fd })
    }
    return this.trail.at(-1) ?? this.base
  }

  private leave(level: number) {
    for (const { fd } of this.trail.splice(level)) closeSync(fd)
  }
}

/** Seconds since 1970, at most: what every file system can keep. */
const latest = 0x7fffffff

const open = (folder: { readonly fd: number }, name: string) => {
  const place = at(folder, name)
  try {
    return openSync(place, folderFlags)
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw inTheWay(error)
    try {
      mkdirSync(place, { mode: 0o755 })
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error
    }
    try {
      return openSync(place, folderFlags)
    } catch (error) {
      throw inTheWay(error)
    }
  }
}

const openAnew = ({ fd }: { readonly fd: number }) => ({
  fd: openSync(`/proc/self/fd/${fd}`, folderFlags & ~constants.O_NOFOLLOW),
})

/** Makes something where nothing is, or what a new one takes the place of. */
const make = <A>(place: string | Buffer, run: () => A): A => {
  try {
    return run()
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error
    try {
      unlinkSync(place)
    } catch (error) {
      throw inTheWay(error)
    }
    return run()
  }
}

const isFileAt = (place: string | Buffer) => lstatSync(place, { throwIfNoEntry: false })?.isFile() === true

/** A folder where a file is to be, a file or link where a folder is to be, or one that may not be looked into. */
const inTheWay = (error: unknown) =>
  ["EISDIR", "EPERM", "ENOTDIR", "ELOOP", "EACCES"].includes(codeOf(error) ?? "")
    ? new LeftOut("in_the_way")
    : error
