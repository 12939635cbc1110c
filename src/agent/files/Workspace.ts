/**
 * Finds paths below a root, /workspace, without ever leaving it. Programs of the sandbox may swap folders for links at
 * any moment, so a path is walked part by part, each opened by its name in the folder that the part before it opened,
 * and none as a link; links are read and walked likewise. `/proc/self/fd` stands in for openat(2), which Node has not.
 * It is walked without waiting: each step takes microseconds, and the way to a thread and back many times that.
 */
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  realpathSync,
  type Stats,
} from "node:fs"
import { open, readlink } from "node:fs/promises"
import { posix } from "node:path"
import { bytesOf, isPlain, nameOf } from "./Names.ts"
import { codeOf, Refusal } from "./Refusal.ts"

/** Refers to a file without opening it: a FIFO does not wait, a device does nothing. Node has no name for it. */
const O_PATH = 0o10000000
const referring = O_PATH | constants.O_NOFOLLOW

/** As many as the kernel follows. */
const maxLinks = 40

/** What is open, or referred to; -1 once it is closed. */
export interface Handle {
  readonly fd: number
}

/** Where a path leads. Its handles are open as long as the function that got it runs. */
export interface Place {
  /** The folder that it is in; the root itself is in none. */
  readonly folder: Handle | undefined
  /** Its name there. */
  readonly name: string
  /** Refers to what is there; for reading or writing, `reopen` it. None where nothing is. */
  readonly handle: Handle | undefined
  readonly stats: Stats | undefined
  /** Relative to the root, with all links resolved; empty for the root itself. */
  readonly path: string
}

export interface LocateOptions {
  /** Where the last part of the path is a link, the link itself is meant. */
  readonly link?: boolean
  /** Folders above that are missing are made. */
  readonly make?: boolean
}

export class Workspace {
  readonly root: string

  constructor(root: string) {
    this.root = realpathSync(root)
  }

  /** Walks to a path and calls `use` with what is there, or with nothing where only the last part is missing. */
  async locate<A>(path: string, options: LocateOptions, use: (place: Place) => Promise<A>): Promise<A> {
    const opened: Array<{ fd: number }> = []
    try {
      return await use(this.walk(path, options, opened))
    } finally {
      for (const reference of opened) {
        closeSync(reference.fd)
        reference.fd = -1
      }
    }
  }

  private walk(path: string, { link = false, make = false }: LocateOptions, opened: Array<Handle>) {
    const refer = (path: string | Buffer) => {
      const reference = { fd: openSync(path, referring) }
      opened.push(reference)
      return reference
    }
    const root = { name: "", handle: refer(this.root) }
    const trail = [root]
    let rest = this.below(path)
    let links = 0
    for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
      const here = trail.at(-1)!
      if (name === "..") {
        if (trail.length === 1) rest = this.below(posix.join(posix.dirname(this.root), ...rest))
        else trail.pop()
        continue
      }
      const last = rest.length === 0
      const child = at(here.handle, name)
      const handle = last || make ? orNone("ENOENT", () => refer(child)) : refer(child)
      if (handle === undefined) {
        if (last) return place(trail, name)
        orNone("EEXIST", () => mkdirSync(child))
        rest.unshift(name)
        continue
      }
      const stats = fstatSync(handle.fd)
      if (stats.isSymbolicLink() && !(last && link)) {
        if (++links > maxLinks) throw new Refusal("missing")
        const target = nameOf(readlinkSync(child, { encoding: "buffer" }))
        rest = target.startsWith("/") ? [...this.below(target), ...rest] : [...partsOf(target), ...rest]
        if (target.startsWith("/")) trail.length = 1
      } else if (last && !stats.isDirectory()) return place(trail, name, handle, stats)
      else if (!stats.isDirectory()) throw new Refusal("not_a_directory")
      else trail.push({ name, handle })
    }
    const { name, handle } = trail.at(-1)!
    return place(trail.slice(0, -1), name, handle, fstatSync(handle.fd))
  }

  /** Says whether an open file is in the workspace, whichever way it was found. */
  async holds(handle: Handle) {
    const path = await readlink(`/proc/self/fd/${handle.fd}`, { encoding: "buffer" })
    return path.subarray(0, this.root.length + 1).equals(Buffer.from(`${this.root}/`))
  }

  /** The parts of an absolute path after the root. */
  private below(path: string): Array<string> {
    const inside = [path, posix.normalize(path)].find((path) => `${path}/`.startsWith(`${this.root}/`))
    if (inside === undefined) throw new Refusal("outside")
    return partsOf(inside.slice(this.root.length))
  }
}

/** The path of an entry of an open folder. */
export const at = (folder: { readonly fd: number }, name: string): string | Buffer => {
  const path = `/proc/self/fd/${folder.fd}/${name}`
  return isPlain(name) ? path : bytesOf(path)
}

/** Opens the very file that a handle refers to. */
export const reopen = (handle: Handle, flags: number) => open(sameAs(handle), flags | constants.O_NONBLOCK)

/** The same without a thread; gives the descriptor. */
export const reopenNow = (handle: Handle, flags: number) =>
  openSync(sameAs(handle), flags | constants.O_NONBLOCK)

const sameAs = ({ fd }: Handle) => `/proc/self/fd/${fd}`

/** Refers to an entry of an open folder, which is not followed where it is a link. */
export const refer = (folder: Handle, name: string) => open(at(folder, name), referring)

/** Makes an error with this code no error. */
export const unless = (code: string) => (error: unknown) => {
  if (codeOf(error) !== code) throw error
}

/** None where it fails with this code. */
const orNone = <A>(code: string, make: () => A) => {
  try {
    return make()
  } catch (error) {
    return unless(code)(error)
  }
}

export const join = (folder: string, name: string) => (folder === "" ? name : `${folder}/${name}`)

const partsOf = (path: string) => path.split("/").filter((part) => part !== "" && part !== ".")

interface Step {
  readonly name: string
  readonly handle: Handle
}

const place = (trail: ReadonlyArray<Step>, name: string, handle?: Handle, stats?: Stats): Place => ({
  folder: trail.at(-1)?.handle,
  name,
  handle,
  stats,
  path: [...trail.slice(1).map(({ name }) => name), ...(name === "" ? [] : [name])].join("/"),
})
