import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { OutputBuffer } from "../../src/sandbox/OutputBuffer.ts"

/** `length` bytes that differ from their neighbours, beginning with the one at `start`. */
const bytes = (start: number, length: number) =>
  Uint8Array.from({ length }, (_, index) => ((start + index) * 7 + ((start + index) >> 8)) % 256)

const push = (buffer: OutputBuffer, sizes: ReadonlyArray<number>) => {
  for (const size of sizes) buffer.push(bytes(buffer.total, size))
}

/** What is held in memory, in bytes; the arrays are private for a reason, and counted here for another. */
const held = (buffer: OutputBuffer) => {
  const { head, tail } = buffer as unknown as Record<"head" | "tail", { readonly chunks: Array<Uint8Array> }>
  const all = [...head.chunks, ...tail.chunks]
  const blocks = new Set(all.map(({ buffer }) => buffer))
  return { objects: all.length, bytes: [...blocks].reduce((sum, { byteLength }) => sum + byteLength, 0) }
}

const chunkings = FastCheck.array(FastCheck.integer({ min: 0, max: 40 }), { maxLength: 60 })

describe("OutputBuffer", () => {
  it.prop(
    "keeps everything up to its limit, whatever the chunks",
    [chunkings, FastCheck.integer({ min: 0, max: 2400 })],
    ([sizes, after]) => {
      const buffer = new OutputBuffer(2400)
      push(buffer, sizes)
      const from = Math.min(after, buffer.total)
      const piece = buffer.read(from)
      assert.strictEqual(piece.skipped, 0)
      assert.deepStrictEqual(Buffer.from(piece.data), Buffer.from(bytes(from, buffer.total - from)))
    },
  )

  it.prop(
    "keeps the head and the tail, and says what is missing and where",
    [FastCheck.integer({ min: 1, max: 200 }), chunkings, FastCheck.integer({ min: 0, max: 2400 })],
    ([limit, sizes, wanted]) => {
      const buffer = new OutputBuffer(limit)
      push(buffer, sizes)
      const after = Math.min(wanted, buffer.total)
      const piece = buffer.read(after)
      const written = Buffer.from(bytes(after, buffer.total - after))
      assert.strictEqual(piece.data.length + piece.skipped, written.length)
      const before = piece.skipped === 0 ? piece.data.length : piece.skippedAt
      const expected = Buffer.concat([written.subarray(0, before), written.subarray(before + piece.skipped)])
      assert.deepStrictEqual(Buffer.from(piece.data), expected)
      if (buffer.total > limit) {
        const whole = buffer.read(0)
        assert.strictEqual(whole.data.length, limit)
        assert.strictEqual(whole.skippedAt, Math.ceil(limit / 2))
        assert.strictEqual(whole.skipped, buffer.total - limit)
      }
    },
    { fastCheck: { numRuns: 500 } },
  )

  it.prop(
    "joins what successive cursors read to all that was written, less what it says it skipped",
    [FastCheck.integer({ min: 2, max: 100 }), chunkings],
    ([limit, sizes]) => {
      const buffer = new OutputBuffer(limit)
      let cursor = 0
      for (const size of sizes) {
        buffer.push(bytes(buffer.total, size))
        const { data, skipped, skippedAt } = buffer.read(cursor)
        assert.strictEqual(data.length + skipped, buffer.total - cursor)
        const tail = data.subarray(skipped === 0 ? 0 : skippedAt)
        assert.deepStrictEqual(Buffer.from(tail), Buffer.from(bytes(buffer.total - tail.length, tail.length)))
        cursor = buffer.total
      }
    },
  )

  it("answers a cursor at the end with nothing", () => {
    const buffer = new OutputBuffer(10)
    assert.deepStrictEqual(Buffer.from(buffer.read(0).data), Buffer.alloc(0))
    push(buffer, [100])
    assert.deepStrictEqual(buffer.read(100), { data: buffer.read(100).data, skipped: 0, skippedAt: 0 })
    assert.strictEqual(buffer.read(100).data.length, 0)
  })

  it("says where a gap begins for a cursor inside the gap: at once", () => {
    const buffer = new OutputBuffer(10)
    push(buffer, [100])
    const piece = buffer.read(50)
    assert.deepStrictEqual(
      { ...piece, data: [...piece.data] },
      {
        data: [...bytes(95, 5)],
        skipped: 45,
        skippedAt: 0,
      },
    )
  })

  it.each([1, 97, 3000])("holds little more than its limit, however much is written by %d bytes", (size) => {
    const limit = 64 * 1024
    const buffer = new OutputBuffer(limit)
    let most = { objects: 0, bytes: 0 }
    while (buffer.total < 4 * limit) {
      push(buffer, [size])
      if (buffer.total % 512 < size) {
        const now = held(buffer)
        most = { objects: Math.max(most.objects, now.objects), bytes: Math.max(most.bytes, now.bytes) }
      }
    }
    assert.isAtMost(most.bytes, limit + 4 * 8192)
    assert.isAtMost(most.objects, 64)
  })
})
