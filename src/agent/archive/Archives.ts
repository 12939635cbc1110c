/** Archives of the sandbox's files: into one, and out of one, as a stream. */
import { constants, open, type FileHandle, unlink } from "node:fs/promises"
import { createGunzip, createGzip } from "node:zlib"
import type { Pack, PackReply, Unpack, UnpackReply } from "./ArchiveProtocol.ts"
import { fresh } from "../files/Contents.ts"
import { folderAt, makeFolder } from "../files/Folders.ts"
import { Refusal } from "../files/Refusal.ts"
import type { Transfer } from "../files/Transfers.ts"
import { at, reopen, type Workspace } from "../files/Workspace.ts"
import { type Bytes, level, Meter, through } from "./Archive.ts"
import { Packing } from "./Packing.ts"
import * as Tar from "./Tar.ts"
import { Unpacking } from "./Unpacking.ts"
import * as Zip from "./Zip.ts"

/** Sends what is below a folder as an archive. */
export const pack = (workspace: Workspace, { path, format, exclude, maxEntries }: Pack, transfer: Transfer) =>
  inFolder(workspace, path, async (folder): Promise<typeof PackReply.Type> => {
    const packing = new Packing(exclude, maxEntries)
    const entries = packing.below(folder)
    const archive = format === "zip" ? Zip.write(entries) : through(Tar.write(entries), createGzip({ level }))
    for await (const piece of archive) await transfer.send(piece)
    return packing.done
  })

/** Makes files of the archive that comes, whatever its format is. */
export const unpack = async (workspace: Workspace, { path, ...bounds }: Unpack, transfer: Transfer) => {
  await makeFolder(workspace, { op: "mkdir", path })
  return inFolder(workspace, path, async (folder): Promise<typeof UnpackReply.Type> => {
    const meter = new Meter(bounds)
    const unpacking = new Unpacking(folder, meter)
    const { begin, bytes } = await beginningOf(counted(transfer, meter))
    if (begin[0] === 0x1f && begin[1] === 0x8b) {
      await unpacking.all(Tar.read(meter.counted(through(bytes, createGunzip()))))
    } else if (Tar.isTar(begin)) await unpacking.all(Tar.read(meter.counted(bytes)))
    else if (begin.toString("latin1", 0, 2) === "PK") {
      await kept(folder, bytes, (file, size) => unpacking.all(Zip.read(file, size, meter)))
    } else throw new Refusal("bad_archive")
    return { ...unpacking.done, skipped: unpacking.skipped }
  })
}

const inFolder = <A>(workspace: Workspace, path: string, use: (folder: FileHandle) => Promise<A>) =>
  workspace.locate(path, {}, async (place) => {
    const folder = await reopen(folderAt(place), constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      return await use(folder)
    } finally {
      await folder.close()
    }
  })

async function* counted(transfer: Transfer, meter: Meter) {
  for await (const chunk of transfer.chunks()) {
    meter.packed += chunk.length
    yield chunk
  }
}

/** Bytes by which the format is known. */
const telling = 512

/** How a stream begins, and all of it. */
const beginningOf = async (source: AsyncGenerator<Uint8Array>) => {
  const chunks: Array<Uint8Array> = []
  for (let length = 0; length < telling;) {
    const { done, value } = await source.next()
    if (done === true) break
    chunks.push(value)
    length += value.length
  }
  const bytes = async function* () {
    yield* chunks.splice(0)
    yield* source
  }
  return { begin: Buffer.concat(chunks), bytes: bytes() }
}

/** Has a stream in a file while that is used, under no name, so that it goes whatever happens. */
const kept = async (
  folder: FileHandle,
  bytes: Bytes,
  use: (file: FileHandle, size: number) => Promise<void>,
) => {
  let file: FileHandle | undefined
  try {
    await fresh(folder, async (name) => {
      const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = constants
      file = await open(at(folder, name), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
      await unlink(at(folder, name))
    })
    let size = 0
    for await (const chunk of bytes) {
      await file!.writeFile(chunk)
      size += chunk.length
    }
    await use(file!, size)
  } finally {
    await file?.close()
  }
}
