import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFile } from "../../../src/tools/files/ReadFile.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"

/** Reads a file of these bytes from `offset`, as a model would. */
const read = (file: Uint8Array, offset?: number) => {
  const asked: Array<readonly [string, number, number]> = []
  const sandbox = FakeSandbox.make({
    files: {
      read: (path, offset, length) =>
        Effect.sync(() => {
          asked.push([path, offset, length])
          const data = file.subarray(offset, offset + length)
          return { data, size: file.length, mode: 0o644, bytes: data.length }
        }),
    },
  })
  const input = { path: "notes.txt", ...(offset === undefined ? {} : { offset }) }
  return Effect.map(readFile.handler(input, FakeSandbox.call(Effect.succeed(sandbox))), (answer) => ({
    ...answer,
    asked,
  }))
}

/** Reads on from each answer's `next_offset` to the end. */
const readAll = Effect.fnUntraced(function* (file: Uint8Array) {
  const parts: Array<Buffer> = []
  const encodings = new Set<string>()
  let offset: number | undefined = 0
  while (offset !== undefined) {
    assert.isBelow(parts.length, 50)
    const answer: Effect.Effect.Success<ReturnType<typeof read>> = yield* read(file, offset)
    encodings.add(answer.encoding)
    parts.push(Buffer.from(answer.content, answer.encoding))
    offset = answer.next_offset
  }
  return { file: Buffer.concat(parts), parts: parts.length, encodings: [...encodings] }
})

describe("ReadFile", () => {
  it.effect("answers a small text whole, and asks for no more than an answer's worth", () =>
    Effect.gen(function* () {
      const answer = yield* read(Buffer.from("grüße 🦀\n"))
      assert.deepStrictEqual(answer, {
        content: "grüße 🦀\n",
        encoding: "utf8",
        size: 13,
        asked: [["/workspace/notes.txt", 0, 28_000]],
      })
    }),
  )

  it.effect("answers an empty file, and a read past the end, with nothing", () =>
    Effect.gen(function* () {
      const { asked: _, ...empty } = yield* read(new Uint8Array())
      assert.deepStrictEqual(empty, { content: "", encoding: "utf8", size: 0 })
      const { asked: __, ...past } = yield* read(Buffer.from("abc"), 99)
      assert.deepStrictEqual(past, { content: "", encoding: "utf8", size: 3 })
    }),
  )

  for (const character of ["é", "€", "🦀"]) {
    const width = Buffer.byteLength(character)
    for (let before = 0; before < width; before++) {
      it.effect(`never cuts a character of ${width} bytes, ${before} of them before the limit`, () =>
        Effect.gen(function* () {
          const text = "a".repeat(28_000 - before) + character.repeat(20_000)
          const first = yield* read(Buffer.from(text))
          assert.strictEqual(first.encoding, "utf8")
          assert.notInclude(first.content, "\uFFFD")
          assert.strictEqual(first.next_offset, Buffer.byteLength(first.content))
          assert.isAbove(first.next_offset ?? 0, 28_000 - width)
          const all = yield* readAll(Buffer.from(text))
          assert.deepStrictEqual(all.encodings, ["utf8"])
          assert.isTrue(all.file.equals(Buffer.from(text)))
        }),
      )
    }
  }

  it.effect("keeps a byte order mark", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* read(Buffer.from("\uFEFFa"))).content, "\uFEFFa")
    }),
  )

  it.effect("answers what is not UTF-8, and text with a NUL, as base64", () =>
    Effect.gen(function* () {
      for (const bytes of [
        [0xff, 0xfe],
        [0xc3],
        [0x61, 0x80],
        [0xed, 0xa0, 0x80],
        [0x61, 0x00],
        [0xc0, 0x80],
      ]) {
        const answer = yield* read(Uint8Array.from(bytes))
        assert.strictEqual(answer.encoding, "base64")
        assert.deepStrictEqual([...Buffer.from(answer.content, "base64")], bytes)
      }
    }),
  )

  it.effect("gives a binary file back byte for byte, part by part", () =>
    Effect.gen(function* () {
      const file = Uint8Array.from({ length: 100_001 }, (_, index) => (index * 31 + (index >> 8)) % 256)
      const all = yield* readAll(file)
      assert.isTrue(all.file.equals(file))
      assert.strictEqual(all.parts, 4)
    }),
  )

  it.effect("reads at an offset, and goes on from it", () =>
    Effect.gen(function* () {
      const answer = yield* read(Buffer.from("x".repeat(40_000)), 5)
      assert.strictEqual(answer.content.length, 28_000)
      assert.strictEqual(answer.next_offset, 28_005)
    }),
  )
})
