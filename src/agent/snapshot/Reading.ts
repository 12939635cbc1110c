/** The bytes of files that are sent, and those alone that take room. */
import { chmodSync, constants, fchmodSync, openSync, readSync, type Stats } from "node:fs"
import { crc32 } from "node:zlib"
import { codeOf } from "../files/Refusal.ts"
import type { Slices } from "../files/Slices.ts"
import { nextData, nextHole } from "../Kernel.ts"

const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** Opens what its owner may read once its permissions allow it, which is then undone. */
export const openReadable = (place: string | Buffer, mode: number) => {
  try {
    return openSync(place, flags)
  } catch (error) {
    if (codeOf(error) !== "EACCES") throw error
    chmodSync(place, mode | 0o400)
    const fd = openSync(place, flags)
    fchmodSync(fd, mode)
    return fd
  }
}

/** The parts of an open file up to its size, and which of them are zero and take no room. */
export const extents = function* (fd: number, { size, blocks }: Stats) {
  const isSparse = blocks * 512 < size
  for (let from = 0; from < size;) {
    const data = isSparse ? Math.min(nextData(fd, from) ?? size, size) : from
    if (data > from) yield { from, to: data, isHole: true }
    from = isSparse ? Math.min(nextHole(fd, data) ?? size, size) : size
    if (from > data) yield { from: data, to: from, isHole: false }
  }
}

const scratch = Buffer.allocUnsafeSlow(256 * 1024)

/** Of what a file holds, as a `RecordWriter` makes it; undefined where it has become shorter. */
export const sumOf = async (fd: number, stats: Stats, slices: Slices) => {
  let sum = 0
  for (const { from, to, isHole } of extents(fd, stats)) {
    for (let position = isHole ? to : from; position < to;) {
      const read = readSync(fd, scratch, 0, Math.min(scratch.length, to - position), position)
      if (read === 0) return undefined
      sum = crc32(scratch.subarray(0, read), sum)
      position += read
      await slices.pause()
    }
  }
  return sum
}
