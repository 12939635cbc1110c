/** The tree of files: listing, making, moving, copying and removing. */
import {
  constants,
  copyFile,
  lstat,
  mkdir,
  open,
  readlink,
  rename,
  rmdir,
  symlink,
  unlink,
} from "node:fs/promises"
import type { Stats } from "node:fs"
import { creating, fresh } from "./Contents.ts"
import type {
  Copy,
  EntryKind,
  List,
  ListReply,
  MakeFolder,
  Move,
  Remove,
  Stat,
  StatReply,
} from "./FileProtocol.ts"
import { Refusal } from "./Refusal.ts"
import { entriesOf, maxDepth, maxEntries, walk } from "./Walk.ts"
import { at, type Handle, type Place, refer, reopen, unless, type Workspace } from "./Workspace.ts"

/** Bytes of one answer's list, well below those of a message. */
export const maxAnswer = 2 * 1024 * 1024

export const stat = (workspace: Workspace, { path }: Stat) =>
  workspace.locate(path, {}, async ({ path, stats }): Promise<typeof StatReply.Type> => {
    if (stats === undefined) throw new Refusal("missing")
    const { size, mode, mtimeMs } = stats
    return { path, kind: kindOf(stats), size, mode: mode & 0o7777, modified: mtimeMs }
  })

export const list = (workspace: Workspace, { path, depth, limit }: List) =>
  workspace.locate(path, {}, async (place): Promise<typeof ListReply.Type> => {
    const folder = folderAt(place)
    const entries: Array<(typeof ListReply.Type)["entries"][number]> = []
    let bytes = 0
    const whole = await walk(folder, place.path, {
      depth,
      keep: limit + 1,
      enter: async (folder) => async (entry) => {
        const stats = await lstat(at(folder, entry.name)).catch(unless("ENOENT"))
        if (stats === undefined) return "past"
        const item = { path: entry.path, kind: kindOf(stats), size: stats.size }
        bytes += Buffer.byteLength(JSON.stringify(item))
        if (entries.length === limit || bytes > maxAnswer) return "stop"
        entries.push(item)
        return "into"
      },
    })
    return { entries, truncated: !whole }
  })

export const makeFolder = (workspace: Workspace, { path }: MakeFolder) =>
  workspace.locate(path, { make: true }, async ({ folder, name, stats }) => {
    if (stats?.isDirectory() === false) throw new Refusal("exists")
    if (stats === undefined && folder !== undefined) await mkdir(at(folder, name)).catch(unless("EEXIST"))
    return {}
  })

export const move = (workspace: Workspace, { from, to, replace }: Move) =>
  between(workspace, from, to, replace, async (source, target) => {
    await rename(at(source.folder, source.name), at(target.folder, target.name))
  })

export const copy = (workspace: Workspace, { from, to, replace }: Copy) =>
  between(workspace, from, to, replace, (source, target) =>
    fresh(
      target.folder,
      async (name) => {
        await copyEntry(source.folder, source.name, target.folder, name)
        await rename(at(target.folder, name), at(target.folder, target.name))
      },
      (name) => removeEntry(target.folder, name),
    ),
  )

export const remove = (workspace: Workspace, { path, recursive }: Remove) =>
  workspace.locate(path, { link: true }, async (place) => {
    const { folder, name, stats } = present(place)
    if (recursive) await removeEntry(folder, name)
    else if (stats.isDirectory()) await rmdir(at(folder, name))
    else await unlink(at(folder, name))
    return {}
  })

type Spot = Place & { readonly folder: Handle }

/** Calls `use` with what is to be moved or copied, and with where to. */
const between = (
  workspace: Workspace,
  from: string,
  to: string,
  replace: boolean,
  use: (source: Spot, target: Spot) => Promise<void>,
) =>
  workspace.locate(from, { link: true }, async (place) => {
    const source = present(place)
    return workspace.locate(to, { link: true, make: true }, async (target) => {
      const { folder, stats } = target
      if (folder === undefined) throw new Refusal("bad_path")
      if (target.path === source.path) return {}
      if (`${target.path}/`.startsWith(`${source.path}/`)) throw new Refusal("bad_path")
      if (stats !== undefined && (!replace || stats.isDirectory() !== source.stats.isDirectory())) {
        throw new Refusal("exists")
      }
      await use(source, { ...target, folder })
      return {}
    })
  })

/** What is there, and is not the workspace itself. */
const present = (place: Place) => {
  const { folder, stats } = place
  if (stats === undefined) throw new Refusal("missing")
  if (folder === undefined) throw new Refusal("bad_path")
  return { ...place, folder, stats }
}

/** The folder that a path leads to. */
export const folderAt = ({ handle, stats }: Place) => {
  if (handle === undefined || stats === undefined) throw new Refusal("missing")
  if (!stats.isDirectory()) throw new Refusal("not_a_directory")
  return handle
}

const kindOf = (stats: Stats): EntryKind =>
  stats.isFile() ? "file" : stats.isDirectory() ? "directory" : stats.isSymbolicLink() ? "link" : "other"

const copyEntry = async (
  from: Handle,
  name: string,
  to: Handle,
  newName: string,
  level = 1,
): Promise<void> => {
  const source = await refer(from, name)
  try {
    const stats = await source.stat()
    const target = at(to, newName)
    if (stats.isSymbolicLink()) await symlink(await readlink(at(from, name), { encoding: "buffer" }), target)
    else if (stats.isFile()) await copyContents(source, stats, target)
    else if (stats.isDirectory()) await copyFolder(source, stats, to, newName, level)
    // A FIFO, a socket or a device alone cannot be copied; in a folder it is left out.
    else if (level === 1) throw new Refusal("not_a_file")
  } finally {
    await source.close()
  }
}

const copyContents = async (source: Handle, stats: Stats, target: string | Buffer) => {
  const file = await reopen(source, constants.O_RDONLY)
  try {
    const made = await open(target, creating, 0o600)
    try {
      await copyFile(`/proc/self/fd/${file.fd}`, `/proc/self/fd/${made.fd}`)
      await made.chmod(stats.mode & 0o7777)
    } finally {
      await made.close()
    }
  } finally {
    await file.close()
  }
}

const copyFolder = async (source: Handle, stats: Stats, to: Handle, name: string, level: number) => {
  if (level > maxDepth) throw new Refusal("failed")
  await mkdir(at(to, name), { mode: 0o700 })
  const made = await refer(to, name)
  try {
    const { entries, more } = await entriesOf(source, "", maxEntries)
    if (more) throw new Refusal("failed")
    for (const { entry } of entries) await copyEntry(source, entry.name, made, entry.name, level + 1)
    const own = await reopen(made, constants.O_RDONLY)
    await own.chmod(stats.mode & 0o7777).finally(() => own.close())
  } finally {
    await made.close()
  }
}

/** Names of a folder that are removed at a time. */
const batch = 20_000

/** Removes an entry with all that is in it, a batch of names after the other. */
const removeEntry = async (folder: Handle, name: string): Promise<void> => {
  const handle = await refer(folder, name)
  try {
    if (!(await handle.stat()).isDirectory()) return await unlink(at(folder, name))
    for (;;) {
      const { entries } = await entriesOf(handle, "", batch)
      for (const { entry } of entries) {
        if (entry.kind === "directory") await removeEntry(handle, entry.name)
        else await unlink(at(handle, entry.name)).catch(unless("ENOENT"))
      }
      if (entries.length < batch) break
    }
  } finally {
    await handle.close()
  }
  await rmdir(at(folder, name))
}
