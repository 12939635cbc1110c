/**
 * Sends files, folders and links as records. Folders are opened one in the other, none through a link, so nothing
 * outside is ever read. The owner's files are read whatever their permissions say.
 */
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  type Stats,
} from "node:fs"
import { posix } from "node:path"
import { isPlain, nameOf } from "../files/Names.ts"
import { codeOf, Refusal } from "../files/Refusal.ts"
import { Slices } from "../files/Slices.ts"
import { at, join } from "../files/Workspace.ts"
import { lookIn } from "../Kernel.ts"
import { extents, openReadable, sumOf } from "./Reading.ts"
import { Kind } from "./Records.ts"
import type { RecordWriter } from "./RecordWriter.ts"
import type { Root } from "./Snapshots.ts"
import { type Folder as Noted, isSame, type Stamp, type Stamps } from "./Stamps.ts"

const folderFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

/** Folders in folders, at most: each holds a descriptor while what is in it is sent. */
const maxDepth = 200

/** Bytes of a path, at most: one that is longer could not be made again. */
const maxPath = 4000

/** How often a file is read that changes meanwhile. */
const attempts = 3

/** Bytes below which a file is taken to be written to by no mapping. */
const page = 4096

interface Folder {
  readonly fd: number
}

/**
 * What need not be sent again: nothing; what has the times that it had; or only what has the same bytes too, for it may
 * have been written through a mapping, which times do not show, and what would have told of it is lost.
 */
type Trust = "nothing" | "times" | "contents"

export class Sending {
  private readonly writer: RecordWriter
  private readonly stamps: Stamps
  private readonly excluded: ReadonlySet<string>
  private readonly maxEntries: number
  private readonly slices = new Slices(Infinity)
  private trust: Trust = "nothing"
  private looksAtAll = false
  /** Of the root that is looked at. */
  private device = 0
  private entries = 0
  /** Files that have other names, under which they may have changed as well, by inode. */
  private readonly linked = new Set<number>()
  /** Files that were being written all the time. */
  unstable = 0

  constructor(writer: RecordWriter, stamps: Stamps, excluded: ReadonlyArray<string>, maxEntries: number) {
    this.writer = writer
    this.stamps = stamps
    this.excluded = new Set(excluded)
    this.maxEntries = maxEntries
  }

  get hasLinks() {
    return this.linked.size > 0
  }

  /** Sends all that is below the roots, or what differs from what was sent last, and what of that is gone. */
  async below(roots: ReadonlyArray<Root>, trust: Trust) {
    this.trust = trust
    this.looksAtAll = true
    const noted = roots.map(({ name }) => this.stamps.at(name))
    for (const [index, { name, workspace }] of roots.entries()) {
      const fd = openSync(workspace.root, folderFlags)
      try {
        this.device = fstatSync(fd).dev
        await this.contents({ fd }, name, 0, noted[index])
      } finally {
        closeSync(fd)
      }
    }
  }

  /** Sends what stands at a path below a root, with all below it, or that it is gone. */
  async one(root: Root, path: string) {
    // The root itself has other permissions now, and nothing to tell of.
    if (path === "") return
    const whole = `${root.name}/${path}`
    if ([...this.excluded].some((excluded) => `${whole}/`.startsWith(`${excluded}/`))) return
    const parts = path.split("/")
    const name = parts.pop()!
    const into = async (folder: Folder, rest: ReadonlyArray<string>): Promise<void> => {
      const [part, ...others] = rest
      if (part !== undefined) {
        const stats = lstatSync(at(folder, part))
        if (stats.dev !== this.device) return
        return this.inside(folder, part, stats, (inner) => into(inner, others))
      }
      const noted = this.stamps.at(posix.dirname(whole))
      await this.gone(whole, name, noted)
      await this.entry(folder, name, whole, parts.length, noted)
    }
    const fd = openSync(root.workspace.root, folderFlags)
    try {
      this.device = fstatSync(fd).dev
      await into({ fd }, parts)
    } catch (error) {
      // The folder that it was in has gone, or is no folder any more: that is told of that folder's own path.
      if (!isAbsent(error)) throw error
      await this.gone(whole, name, this.stamps.at(posix.dirname(whole)))
    } finally {
      closeSync(fd)
    }
  }

  private async contents(folder: Folder, path: string, depth: number, noted: Noted | undefined) {
    if (depth > maxDepth) throw new Refusal("too_many")
    const names = readdirSync(`/proc/self/fd/${folder.fd}`, { encoding: "buffer" }) as ReadonlyArray<Buffer>
    const there = new Set<string>()
    for (const name of names) {
      const text = nameOf(name)
      const inner = join(path, text)
      if (this.excluded.has(inner)) continue
      const isThere =
        this.isAsNoted(folder, text, noted?.get(text)) ||
        (await this.entry(folder, text, inner, depth, noted))
      if (isThere) there.add(text)
      if (there.size % 256 === 0) await this.slices.pause()
    }
    for (const name of noted?.keys() ?? []) {
      if (!there.has(name)) await this.gone(join(path, name), name, noted)
    }
  }

  private gone(path: string, name: string, noted: Noted | undefined) {
    this.stamps.forget(noted, name)
    return this.writer.json(Kind.gone, { path })
  }

  /** Opens a folder for as long as `use` takes; one that its owner may not look into may be until then. */
  private async inside(parent: Folder, name: string, stats: Stats, use: (folder: Folder) => Promise<void>) {
    const place = at(parent, name)
    const isClosed = stats.isDirectory() && (stats.mode & 0o500) !== 0o500
    if (isClosed) chmodSync(place, (stats.mode & 0o7777) | 0o500)
    const fd = openSync(place, folderFlags)
    try {
      await use({ fd })
    } finally {
      if (isClosed) fchmodSync(fd, stats.mode & 0o7777)
      closeSync(fd)
    }
  }

  /** Sends what stands there, if it has to be; says whether there is anything of the session's. */
  private async entry(folder: Folder, name: string, path: string, depth: number, noted: Noted | undefined) {
    if (Buffer.byteLength(path) > maxPath) throw new Refusal("bad_path")
    const place = at(folder, name)
    let isThere = false
    try {
      const time = Date.now()
      const stats = lstatSync(place)
      const mode = stats.mode & 0o7777
      // Something else is mounted there, which stays where it is.
      if (stats.dev !== this.device) return false
      const known = this.trust === "nothing" ? undefined : noted?.get(name)
      if (stats.isSymbolicLink()) {
        this.count()
        if (!isSame(known, stats)) {
          const target = nameOf(readlinkSync(place, { encoding: "buffer" }))
          await this.writer.json(Kind.entry, { path, kind: "link", target })
          this.stamps.file(noted, name, stats, time, 0)
        }
        isThere = true
      } else if (stats.isFile()) {
        this.count()
        isThere =
          (await this.isKnown(place, stats, known)) || (await this.file(place, path, name, mode, noted))
      } else if (stats.isDirectory()) {
        await this.inside(folder, name, stats, async (inner) => {
          this.count()
          if (known?.inner === undefined || known.mode !== mode) {
            await this.writer.json(Kind.entry, { path, kind: "directory", mode })
          }
          isThere = true
          await this.contents(inner, path, depth + 1, this.stamps.folder(noted, name, mode))
        })
      }
    } catch (error) {
      // It has gone, or is something else by now: then it changes again, and the next one tells. Or it is not the
      // session's at all: a file system has folders of its own.
      if (!isAbsent(error)) throw error
    }
    await this.slices.pause()
    return isThere
  }

  /** All that most entries need. */
  private isAsNoted(folder: Folder, name: string, known: Stamp | undefined) {
    if (this.trust === "nothing" || known === undefined || known.inner !== undefined || !isPlain(name))
      return false
    const look = lookIn(folder.fd, name)
    if (look === undefined || !isSame(known, look) || this.linked.has(look.ino)) return false
    if (this.trust === "contents" && look.size >= page) return false
    this.count()
    return true
  }

  /** A file needs not be sent again. */
  private async isKnown(place: string | Buffer, stats: Stats, known: Stamp | undefined) {
    if (!isSame(known, stats) || this.linked.has(stats.ino)) return false
    if (this.trust === "times" || stats.size < page) return true
    const fd = openReadable(place, stats.mode & 0o7777)
    try {
      return isSame(known, fstatSync(fd)) && (await sumOf(fd, stats, this.slices)) === known?.sum
    } finally {
      closeSync(fd)
    }
  }

  /** Says whether it is one. */
  private async file(
    place: string | Buffer,
    path: string,
    name: string,
    mode: number,
    noted: Noted | undefined,
  ) {
    for (let attempt = 1; ; attempt++) {
      const fd = openReadable(place, mode)
      try {
        const time = Date.now()
        const before = fstatSync(fd)
        if (!before.isFile()) return false
        const { ctimeMs, ino, mtimeMs, nlink, size } = before
        if (nlink > 1 && !this.looksAtAll) this.linked.add(ino)
        await this.writer.json(Kind.entry, { path, kind: "file", mode, modified: mtimeMs, size })
        this.writer.sum = 0
        const sent = await this.bytes(fd, before)
        const after = fstatSync(fd)
        // A program may set its other times back.
        const stable = sent === size && after.size === size && after.ctimeMs === ctimeMs
        if (!stable && attempt < attempts) continue
        if (!stable) this.unstable++
        this.stamps.file(noted, name, before, stable ? time : 0, this.writer.sum)
        await this.writer.json(Kind.end, { stable })
        return true
      } finally {
        closeSync(fd)
      }
    }
  }

  /** Sends a file's bytes up to its size; gives how many there were, also of those that are zero and take no room. */
  private async bytes(fd: number, stats: Stats) {
    for (const { from, to, isHole } of extents(fd, stats)) {
      if (isHole) await this.writer.json(Kind.hole, { bytes: to - from })
      for (let position = isHole ? to : from; position < to;) {
        const read = await this.writer.data(fd, position, to - position)
        if (read === 0) return position
        position += read
        await this.slices.pause()
      }
    }
    return stats.size
  }

  private count() {
    if (++this.entries > this.maxEntries) throw new Refusal("too_many")
  }
}

const isAbsent = (error: unknown) =>
  ["ENOENT", "ENOTDIR", "ELOOP", "ENXIO", "EPERM"].includes(codeOf(error) ?? "")
