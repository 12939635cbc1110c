/** What is in files: reading and writing them, streamed. */
import { randomBytes } from "node:crypto"
import {
  closeSync,
  constants,
  fchmodSync,
  fsync,
  openSync,
  renameSync,
  writeFile,
  writeFileSync,
} from "node:fs"
import { unlink } from "node:fs/promises"
import { promisify } from "node:util"
import type { Append, Read, ReadLines, ReadLinesReply, ReadReply, Write } from "./FileProtocol.ts"
import { Refusal } from "./Refusal.ts"
import { pieces, small, type Transfer } from "./Transfers.ts"
import { at, type Handle, type Place, reopenNow, type Workspace } from "./Workspace.ts"

/** The largest file whose lines are counted to its end, in bytes. */
const countable = 256 * 1024 * 1024

export const read = (workspace: Workspace, { path, offset, length }: Read, transfer: Transfer) =>
  reading(workspace, path, async (fd, size, mode): Promise<typeof ReadReply.Type> => {
    for await (const piece of pieces(fd, offset, Math.min(size, offset + length), transfer))
      await transfer.send(piece)
    return { size, mode, bytes: transfer.sent }
  })

export const readLines = (workspace: Workspace, request: ReadLines, transfer: Transfer) =>
  reading(workspace, request.path, async (fd, size, mode): Promise<typeof ReadLinesReply.Type> => {
    const { firstLine, maxBytes } = request
    let at = 0
    /** Lines that have ended, in all and among those sent. */
    let ended = 0
    let sentEnded = 0
    let begin = firstLine === 1 ? 0 : undefined
    let end = Infinity
    let lastByte = newline
    let lastSent = newline
    for await (const piece of pieces(fd, 0, size, transfer)) {
      for (let found = piece.indexOf(newline); found >= 0; found = piece.indexOf(newline, found + 1)) {
        ended++
        if (ended === firstLine - 1) begin = at + found + 1
        if (ended === firstLine - 1 + request.lines) end = at + found + 1
      }
      const from = (begin ?? Infinity) + transfer.sent
      const to = Math.min(end, (begin ?? 0) + maxBytes, at + piece.length)
      if (to > from) {
        const part = piece.subarray(from - at, to - at)
        for (let found = part.indexOf(newline); found >= 0; found = part.indexOf(newline, found + 1))
          sentEnded++
        lastSent = part[part.length - 1]!
        await transfer.send(part)
      }
      at += piece.length
      lastByte = piece[piece.length - 1]!
      if (size > countable && begin !== undefined && (end < Infinity || transfer.sent === maxBytes)) break
    }
    const open = lastSent !== newline
    const offset = begin ?? at
    return {
      size,
      mode,
      bytes: transfer.sent,
      offset,
      lines: sentEnded + (open ? 1 : 0),
      cut: open && offset + transfer.sent < size,
      totalLines: at < size ? null : ended + (lastByte === newline ? 0 : 1),
    }
  })

/** Writes to a file beside it, which then takes its place; it goes again where anything fails. */
export const write = (workspace: Workspace, { path, size, mode }: Write, transfer: Transfer) =>
  workspace.locate(path, { make: true }, async (place) => {
    const folder = folderOf(place)
    await fresh(folder, async (name) => {
      const fd = openSync(at(folder, name), creating, 0o666)
      try {
        await store(fd, size, transfer)
        const bits = mode ?? place.stats?.mode
        if (bits !== undefined) fchmodSync(fd, bits & 0o7777)
        await sync(fd)
      } finally {
        closeSync(fd)
      }
      renameSync(at(folder, name), at(folder, place.name))
    })
    return {}
  })

export const append = (workspace: Workspace, { path, size }: Append, transfer: Transfer) =>
  workspace.locate(path, { make: true }, async (place) => {
    const folder = folderOf(place)
    const flags = constants.O_WRONLY | constants.O_APPEND
    const fd =
      place.handle === undefined
        ? openSync(at(folder, place.name), flags | creating, 0o666)
        : reopenNow(place.handle, flags)
    try {
      await store(fd, size, transfer)
    } finally {
      closeSync(fd)
    }
    return {}
  })

export const creating = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

/** Gives a name that nothing in the folder has, and removes the file of that name where `use` fails. */
export const fresh = async (
  folder: Handle,
  use: (name: string) => Promise<void>,
  remove: (name: string) => Promise<void> = (name) => unlink(at(folder, name)),
) => {
  const name = `.codegen-write.${randomBytes(8).toString("hex")}`
  try {
    await use(name)
  } catch (error) {
    await remove(name).catch(() => {})
    throw error
  }
}

const sync = promisify(fsync)
const writeAside = promisify(writeFile)

const store = async (fd: number, size: number, transfer: Transfer) => {
  let received = 0
  await transfer.receive(async (chunk) => {
    received += chunk.length
    if (received > size) throw new Refusal("aborted")
    if (size <= small) writeFileSync(fd, chunk)
    else await writeAside(fd, chunk)
  })
  if (received !== size) throw new Refusal("aborted")
}

/** The folder of a file that is there, or may be made. */
const folderOf = ({ folder, stats }: Place) => {
  if (folder === undefined || stats?.isFile() === false) throw new Refusal("not_a_file")
  return folder
}

const reading = <A>(
  workspace: Workspace,
  path: string,
  use: (fd: number, size: number, mode: number) => Promise<A>,
) =>
  workspace.locate(path, {}, async ({ handle, stats }) => {
    if (handle === undefined || stats === undefined) throw new Refusal("missing")
    if (!stats.isFile()) throw new Refusal("not_a_file")
    const fd = reopenNow(handle, constants.O_RDONLY)
    try {
      return await use(fd, stats.size, stats.mode & 0o7777)
    } finally {
      closeSync(fd)
    }
  })

const newline = 10
