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
import { nameOf } from "../files/Names.ts"
import { codeOf, Refusal } from "../files/Refusal.ts"
import { Slices } from "../files/Slices.ts"
import { at, join } from "../files/Workspace.ts"
import { nextData, nextHole } from "../Kernel.ts"
import { Kind } from "./Records.ts"
import type { RecordWriter } from "./RecordWriter.ts"
import type { Root } from "./Snapshots.ts"

const folderFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
const fileFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** Folders in folders, at most: each holds a descriptor while what is in it is sent. */
const maxDepth = 200

/** Bytes of a path, at most: one that is longer could not be made again. */
const maxPath = 4000

/** How often a file is read that changes meanwhile. */
const attempts = 3

interface Folder {
  readonly fd: number
}

export class Sending {
  private readonly writer: RecordWriter
  private readonly excluded: ReadonlySet<string>
  private readonly maxEntries: number
  private readonly slices = new Slices(Infinity)
  /** Of the root that is looked at. */
  private device = 0
  private entries = 0
  /** A file has another name, under which it may have changed as well. */
  hasLinks = false
  /** Files that were being written all the time. */
  unstable = 0

  constructor(writer: RecordWriter, excluded: ReadonlyArray<string>, maxEntries: number) {
    this.writer = writer
    this.excluded = new Set(excluded)
    this.maxEntries = maxEntries
  }

  /** Sends all that is below a root. */
  async below({ name, workspace }: Root) {
    const fd = openSync(workspace.root, folderFlags)
    try {
      this.device = fstatSync(fd).dev
      await this.contents({ fd }, name, 0)
    } finally {
      closeSync(fd)
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
      await this.writer.json(Kind.gone, { path: whole })
      await this.entry(folder, name, whole, parts.length)
    }
    const fd = openSync(root.workspace.root, folderFlags)
    try {
      this.device = fstatSync(fd).dev
      await into({ fd }, parts)
    } catch (error) {
      // The folder that it was in has gone, or is no folder any more: that is told of that folder's own path.
      if (!isAbsent(error)) throw error
      await this.writer.json(Kind.gone, { path: whole })
    } finally {
      closeSync(fd)
    }
  }

  private async contents(folder: Folder, path: string, depth: number) {
    if (depth > maxDepth) throw new Refusal("too_many")
    const names = readdirSync(`/proc/self/fd/${folder.fd}`, { encoding: "buffer" }) as ReadonlyArray<Buffer>
    for (const name of names) {
      const text = nameOf(name)
      const inner = join(path, text)
      if (!this.excluded.has(inner)) await this.entry(folder, text, inner, depth)
    }
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

  private async entry(folder: Folder, name: string, path: string, depth: number) {
    if (Buffer.byteLength(path) > maxPath) throw new Refusal("bad_path")
    const place = at(folder, name)
    try {
      const stats = lstatSync(place)
      const mode = stats.mode & 0o7777
      // Something else is mounted there, which stays where it is.
      if (stats.dev !== this.device) return
      if (stats.isSymbolicLink()) {
        const target = nameOf(readlinkSync(place, { encoding: "buffer" }))
        this.count()
        await this.writer.json(Kind.entry, { path, kind: "link", target })
      } else if (stats.isFile()) {
        this.count()
        await this.file(place, path, mode)
      } else if (stats.isDirectory()) {
        await this.inside(folder, name, stats, async (inner) => {
          this.count()
          await this.writer.json(Kind.entry, { path, kind: "directory", mode })
          await this.contents(inner, path, depth + 1)
        })
      }
    } catch (error) {
      // It has gone, or is something else by now: then it changes again, and the next one tells. Or it is not the
      // session's at all: a file system has folders of its own.
      if (!isAbsent(error)) throw error
    }
    await this.slices.pause()
  }

  private async file(place: string | Buffer, path: string, mode: number) {
    for (let attempt = 1; ; attempt++) {
      const fd = openReadable(place, mode)
      try {
        const before = fstatSync(fd)
        if (!before.isFile()) return
        const { size, mtimeMs, nlink } = before
        this.hasLinks ||= nlink > 1
        await this.writer.json(Kind.entry, { path, kind: "file", mode, modified: mtimeMs, size })
        const sent = await this.bytes(fd, before)
        const after = fstatSync(fd)
        const stable = sent === size && after.size === size && after.mtimeMs === mtimeMs
        if (!stable && attempt < attempts) continue
        if (!stable) this.unstable++
        return await this.writer.json(Kind.end, { stable })
      } finally {
        closeSync(fd)
      }
    }
  }

  /** Sends a file's bytes up to its size; gives how many there were, also of those that are zero and take no room. */
  private async bytes(fd: number, { size, blocks }: Stats) {
    const isSparse = blocks * 512 < size
    let position = 0
    while (position < size) {
      const begin = isSparse ? Math.min(nextData(fd, position) ?? size, size) : position
      if (begin > position) await this.writer.json(Kind.hole, { bytes: begin - position })
      const end = isSparse ? Math.min(nextHole(fd, begin) ?? size, size) : size
      position = begin
      while (position < end) {
        const read = await this.writer.data(fd, position, end - position)
        if (read === 0) return position
        position += read
        await this.slices.pause()
      }
    }
    return position
  }

  private count() {
    if (++this.entries > this.maxEntries) throw new Refusal("too_many")
  }
}

/** Opens what its owner may read once its permissions allow it, which is then undone. */
const openReadable = (place: string | Buffer, mode: number) => {
  try {
    return openSync(place, fileFlags)
  } catch (error) {
    if (codeOf(error) !== "EACCES") throw error
    chmodSync(place, mode | 0o400)
    const fd = openSync(place, fileFlags)
    fchmodSync(fd, mode)
    return fd
  }
}

const isAbsent = (error: unknown) =>
  ["ENOENT", "ENOTDIR", "ELOOP", "ENXIO", "EPERM"].includes(codeOf(error) ?? "")
