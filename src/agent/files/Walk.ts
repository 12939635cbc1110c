/** Walks folders in the order of their paths' bytes, holding one handle a level, and no more names than are wanted. */
import { type FileHandle, opendir } from "node:fs/promises"
import type { EntryKind } from "./FileProtocol.ts"
import { nameOf } from "./Names.ts"
import { codeOf } from "./Refusal.ts"
import { type Handle, join, refer } from "./Workspace.ts"

/** Folders in folders, at most: each holds a descriptor while it is walked. */
export const maxDepth = 100

/** Entries of one folder, at most. */
export const maxEntries = 100_000

export interface Entry {
  readonly name: string
  /** Relative to the workspace. */
  readonly path: string
  readonly kind: EntryKind
}

export interface Visitor {
  /** Levels to go down. */
  readonly depth: number
  /** Entries of one folder that can matter. */
  readonly keep: number
  /** A folder may not be looked into. */
  readonly refused?: () => void
  /** A folder is about to be read. */
  readonly before?: (folder: Handle, path: string) => void
  /** A folder begins, with the names that it holds; gives what is to be done with each. */
  readonly enter: (folder: Handle, path: string, names: ReadonlyArray<Entry>) => Promise<Visit>
}

/** `into` goes into a folder too, `stop` ends the walk. */
type Visit = (entry: Entry) => Promise<"into" | "past" | "stop"> | "into" | "past" | "stop"

/** Says whether it came to its end, and everything was seen. */
export const walk = async (folder: Handle, path: string, visitor: Visitor, level = 1): Promise<boolean> => {
  visitor.before?.(folder, path)
  const { entries, more } = await entriesOf(folder, path, Math.min(visitor.keep, maxEntries))
  const visit = await visitor.enter(
    folder,
    path,
    entries.map(({ entry }) => entry),
  )
  let whole = !more
  const into = new Set<Entry>()
  for (const { entry, inside } of inOrder(entries)) {
    if (!inside) {
      const next = await visit(entry)
      if (next === "stop") return false
      if (next === "into" && entry.kind === "directory" && level < visitor.depth) into.add(entry)
    } else if (into.delete(entry)) {
      if (level === maxDepth) whole = false
      else if (!(await inner(folder, entry, visitor, level))) return false
    }
  }
  return whole
}

const inner = async (folder: Handle, entry: Entry, visitor: Visitor, level: number) => {
  let handle: FileHandle | undefined
  try {
    handle = await refer(folder, entry.name)
    return await walk(handle, entry.path, visitor, level + 1)
  } catch (error) {
    // It has gone, is no folder any more, or may not be read.
    if (codeOf(error) === "EACCES") visitor.refused?.()
    if (["ENOENT", "ENOTDIR", "EACCES"].includes(codeOf(error) ?? "")) return true
    throw error
  } finally {
    await handle?.close()
  }
}

interface Sortable {
  readonly bytes: Buffer
  readonly entry: Entry
}

/** The first entries of an open folder, in order. */
export const entriesOf = async (folder: Handle, path: string, keep: number) => {
  const options = { encoding: "buffer", bufferSize: 512 } as unknown as { readonly encoding: "utf8" }
  let entries: Array<Sortable> = []
  let more = false
  for await (const found of await opendir(`/proc/self/fd/${folder.fd}`, options)) {
    const bytes: unknown = found.name
    if (!Buffer.isBuffer(bytes)) throw new TypeError("a name is no buffer")
    const name = nameOf(bytes)
    const kind = found.isFile()
      ? "file"
      : found.isDirectory()
        ? "directory"
        : found.isSymbolicLink()
          ? "link"
          : "other"
    entries.push({ bytes, entry: { name, path: join(path, name), kind } })
    if (entries.length > keep * 2) {
      entries = entries.sort(compare).slice(0, keep)
      more = true
    }
  }
  entries.sort(compare)
  return { entries: entries.slice(0, keep), more: more || entries.length > keep }
}

const compare = (one: Sortable, other: Sortable) => Buffer.compare(one.bytes, other.bytes)

/** What is inside a folder comes where "name/" does: after "name", and after "name.txt" too. */
const inOrder = (entries: ReadonlyArray<Sortable>) => {
  const steps = entries.flatMap(({ bytes, entry }) =>
    entry.kind === "directory"
      ? [
          { bytes, entry, inside: false },
          { bytes: Buffer.concat([bytes, slash]), entry, inside: true },
        ]
      : [{ bytes, entry, inside: false }],
  )
  return steps.sort(compare)
}

const slash = Buffer.from("/")
