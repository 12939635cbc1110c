import { assert, describe, it } from "@effect/vitest"
import { createHash, randomBytes } from "node:crypto"
import { jsonRecord, Kind, recordOf } from "../../src/agent/snapshot/Records.ts"
import { Assembly } from "../../src/workspace/Assembly.ts"
import { pieceSize } from "../../src/workspace/Manifest.ts"

const push = (assembly: Assembly, path: string, size: number, data: Buffer) => {
  const entry = { path: `workspace/${path}`, kind: "file", mode: 0o644, modified: 0, size }
  for (const part of jsonRecord(Kind.entry, entry)) assembly.push(part)
  for (let at = 0; at < data.length; at += 300_000) {
    for (const part of recordOf(Kind.data, data.subarray(at, at + 300_000))) assembly.push(part)
  }
  for (const part of jsonRecord(Kind.end, { stable: true })) assembly.push(part)
}

describe("Assembly", () => {
  it("takes no more memory than what comes, whatever sizes are claimed", () => {
    const assembly = new Assembly(2 ** 30)
    for (let index = 0; index < 100; index++)
      push(assembly, `small ${index}`, 1_000_000, Buffer.from([index]))
    push(assembly, "large", 2 ** 30, randomBytes(pieceSize + 1))
    const behind = new Set(assembly.take().map(({ data }) => data.buffer))
    const bytes = [...behind].reduce((sum, { byteLength }) => sum + byteLength, 0)
    assert.isBelow(bytes, pieceSize + 100 * 8192)
  })

  it("fills memory that was given back anew, and no other", () => {
    const assembly = new Assembly(2 ** 30)
    const hashOf = (data: Buffer) => createHash("sha256").update(data).digest("hex")
    const [first, second] = [randomBytes(2 * pieceSize + 5), randomBytes(2 * pieceSize)]
    push(assembly, "first", first.length, first)
    const taken = assembly.take()
    assert.isTrue(Buffer.concat(taken.map(({ data }) => data)).equals(first))
    const kept = taken[1]!
    assembly.giveBack([taken[0]!])
    push(assembly, "second", second.length, second)
    const next = assembly.take()
    assert.isTrue(Buffer.concat(next.map(({ data }) => data)).equals(second))
    assert.strictEqual(next[0]?.data.buffer, taken[0]?.data.buffer)
    assert.strictEqual(hashOf(kept.data), kept.hash)
  })
})
