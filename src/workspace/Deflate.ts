/** Compresses pieces of files where that helps, and finds out quickly where it does not. */
import { Effect } from "effect"
import { promisify } from "node:util"
import { deflateRaw, deflateRawSync } from "node:zlib"

/** What it has to save at least. */
const worthwhile = 0.9

/** Bytes up to which it is done at once; also of the sample that tells whether a larger piece would shrink. */
const small = 16 * 1024

/** Bytes below which there is nothing to save. */
const tiny = 64

/** What zlib makes for each piece takes longer than the work on a small one, unless it is made for no more than that. */
const forSmall = { level: 1, windowBits: 14, memLevel: 7 }

/** Undefined where it does not shrink. */
export const deflate = (data: Buffer): Effect.Effect<Buffer | undefined> => {
  if (data.length < tiny) return Effect.succeed(undefined)
  if (data.length <= small) {
    return Effect.sync(() => (mayShrink(data) ? shrunk(data, deflateRawSync(data, forSmall)) : undefined))
  }
  const middle = Math.floor((data.length - small) / 2)
  const sample = data.subarray(middle, middle + small)
  return shrunk(sample, deflateRawSync(sample, forSmall)) === undefined
    ? Effect.succeed(undefined)
    : Effect.map(
        Effect.promise(() => promisify(deflateRaw)(data, { level: 1 })),
        (part) => shrunk(data, part),
      )
}

const shrunk = (whole: Buffer, part: Buffer) => (part.length < whole.length * worthwhile ? part : undefined)

/** How often two bytes of a piece are the same where it shrinks: 1 of 256 where they come as they may. */
const alike = 1 / 150

const counts = new Uint32Array(256)

/** Whether some bytes come more often than others, which tells ten times as quickly as compressing does. */
const mayShrink = (data: Buffer) => {
  const length = Math.min(data.length, 4096)
  counts.fill(0)
  for (let index = 0; index < length; index++) counts[data[index]!]!++
  let same = 0
  for (const count of counts) same += count * (count - 1)
  return same > length * (length - 1) * alike
}
