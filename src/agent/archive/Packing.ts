/** The files below a folder as entries of an archive. No folder is opened through a link, so nothing outside is read. */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
} from "node:fs"
import { nameOf } from "../files/Names.ts"
import { codeOf, Refusal } from "../files/Refusal.ts"
import { Slices } from "../files/Slices.ts"
import { at, join } from "../files/Workspace.ts"
import { type ArchiveEntry, leadsInside, maxDepth, maxPath } from "./Archive.ts"

const folderFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
const fileFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const pieceSize = 128 * 1024

interface Folder {
  readonly fd: number
}

export class Packing {
  private readonly excluded: ReadonlySet<string>
  private readonly maxEntries: number
  private readonly slices = new Slices(Infinity)
  /** `left`: neither files, folders nor links that stay below; or they could not be read. */
  readonly done = { files: 0, folders: 0, links: 0, bytes: 0, left: 0 }

  /** Leaves out what has one of the names, at any depth. */
  constructor(excluded: ReadonlyArray<string>, maxEntries: number) {
    this.excluded = new Set(excluded)
    this.maxEntries = maxEntries
  }

  /** In the order of their names. */
  async *below(folder: Folder, path = "", depth = 0): AsyncGenerator<ArchiveEntry> {
    const names = readdirSync(`/proc/self/fd/${folder.fd}`, { encoding: "buffer" }) as ReadonlyArray<Buffer>
    for (const bytes of [...names].sort(Buffer.compare)) {
      const name = nameOf(bytes)
      if (this.excluded.has(name)) continue
      if (this.done.files + this.done.folders + this.done.links >= this.maxEntries)
        throw new Refusal("too_many")
      yield* this.entry(folder, name, join(path, name), depth)
      await this.slices.pause()
    }
  }

  private async *entry(
    folder: Folder,
    name: string,
    path: string,
    depth: number,
  ): AsyncGenerator<ArchiveEntry> {
    const place = at(folder, name)
    const found = present(() => lstatSync(place))
    if (found === undefined) return
    const facts = { path, target: "", mode: found.mode & 0o777, modified: found.mtimeMs, size: 0, data: none }
    if (Buffer.byteLength(path) > maxPath) this.done.left++
    else if (found.isSymbolicLink()) {
      const target = present(() => nameOf(readlinkSync(place, { encoding: "buffer" })))
      if (target === undefined || !leadsInside(path, target)) return void this.done.left++
      this.done.links++
      yield { ...facts, kind: "link", target }
    } else if (found.isDirectory() || found.isFile()) {
      const fd = present(() => openSync(place, found.isFile() ? fileFlags : folderFlags))
      if (fd === undefined) return void this.done.left++
      try {
        const stats = fstatSync(fd)
        const { mode, mtimeMs, size } = stats
        Object.assign(facts, { mode: mode & 0o777, modified: mtimeMs })
        if (stats.isDirectory() && depth < maxDepth) {
          this.done.folders++
          yield { ...facts, kind: "directory" }
          yield* this.below({ fd }, path, depth + 1)
        } else if (stats.isFile()) {
          this.done.files++
          this.done.bytes += size
          yield { ...facts, kind: "file", size, data: () => this.bytes(fd, size) }
        } else this.done.left++
      } finally {
        closeSync(fd)
      }
    } else this.done.left++
  }

  /** As many as it had: one that has become shorter ends in zeros. */
  private async *bytes(fd: number, size: number) {
    for (let position = 0; position < size;) {
      const buffer = Buffer.alloc(Math.min(pieceSize, size - position))
      const read = readSync(fd, buffer, 0, buffer.length, position)
      yield read === 0 ? buffer : buffer.subarray(0, read)
      position += read === 0 ? buffer.length : read
      await this.slices.pause()
    }
  }
}

const none = async function* (): AsyncGenerator<Buffer> {}

/** What is gone by now, or may not be read, is left out. */
const present = <A>(look: () => A): A | undefined => {
  try {
    return look()
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP", "EACCES", "ENXIO", "EINVAL"].includes(codeOf(error) ?? ""))
      return undefined
    throw error
  }
}
