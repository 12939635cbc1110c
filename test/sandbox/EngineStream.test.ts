import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { EngineStream } from "../../src/sandbox/EngineStream.ts"

const piece = (stream: number, text: string) => {
  const header = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0])
  header.writeUInt32BE(Buffer.byteLength(text), 4)
  return Buffer.concat([header, Buffer.from(text)])
}

describe("EngineStream", () => {
  it("tells standard output and error apart, wherever the engine's stream is cut", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.tuple(FastCheck.constantFrom(1, 2), FastCheck.string({ maxLength: 40 }))),
        FastCheck.integer({ min: 1, max: 30 }),
        (pieces, size) => {
          const got = { 1: "", 2: "" }
          const stream = new EngineStream((from, bytes) => {
            got[from as 1 | 2] += bytes.toString("latin1")
          })
          const all = Buffer.concat(pieces.map(([from, text]) => piece(from, text)))
          for (let at = 0; at < all.length; at += size) stream.push(all.subarray(at, at + size))
          for (const from of [1, 2] as const) {
            const sent = pieces.flatMap(([stream, text]) => (stream === from ? [text] : [])).join("")
            assert.strictEqual(got[from], Buffer.from(sent).toString("latin1"))
          }
        },
      ),
    )
  })
})
