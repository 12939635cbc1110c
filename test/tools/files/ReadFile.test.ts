import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import type { Content } from "../../../src/domain/Content.ts"
import { readFile } from "../../../src/tools/files/ReadFile.ts"
import { localCall } from "../../support/LocalCall.ts"
import { LocalFiles } from "../../support/LocalFiles.ts"
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

let files = 0

/** Reads a real file of these bytes, with the agent's own code; gives what is shown beside the answer, too. */
const readLocal = (
  content: string | Uint8Array,
  more: Omit<Parameters<typeof readFile.handler>[0], "path"> = {},
) =>
  Effect.gen(function* () {
    const { root } = yield* LocalFiles
    const path = `${root}/file-${++files}`
    writeFileSync(path, content)
    const shown: Array<Content> = []
    const call = yield* localCall(shown)
    return { shown, ...(yield* readFile.handler({ path, ...more }, call)) }
  })

const png = (size: number) =>
  Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), Buffer.alloc(size - 8)])

layer(LocalFiles.layer, { excludeTestServices: true })("ReadFile of lines and images", (it) => {
  it.effect("reads lines with their numbers, and says where to go on", () =>
    Effect.gen(function* () {
      const text = Array.from({ length: 20 }, (_, index) => `line ${index + 1}\n`).join("")
      assert.deepStrictEqual(yield* readLocal(text, { first_line: 9, lines: 2 }), {
        shown: [],
        content: "9\tline 9\n10\tline 10\n",
        encoding: "utf8",
        size: text.length,
        total_lines: 20,
        next_line: 11,
      })
      const end = yield* readLocal(text, { first_line: 20, numbered: false })
      assert.deepStrictEqual([end.content, end.total_lines, end.next_line], ["line 20\n", 20, undefined])
      assert.strictEqual((yield* readLocal("a\nb", { numbered: true })).content, "1\ta\n2\tb")
      const past = yield* readLocal(text, { first_line: 99 })
      assert.deepStrictEqual([past.content, past.total_lines, past.next_line], ["", 20, undefined])
      assert.strictEqual((yield* readLocal("", { lines: 5 })).total_lines, 0)
    }),
  )

  it.effect("shows whole lines, as many as an answer takes, and gives every line back by next_line", () =>
    Effect.gen(function* () {
      const text = Array.from({ length: 30_000 }, (_, index) => `${index % 7 === 0 ? "\u0002" : "é"}\n`).join(
        "",
      )
      let first: number | undefined = 1
      let seen = ""
      let answers = 0
      while (first !== undefined) {
        assert.isBelow(++answers, 30)
        const page: Effect.Effect.Success<ReturnType<typeof readLocal>> = yield* readLocal(text, {
          first_line: first,
        })
        assert.isBelow(JSON.stringify(page).length, 40_000)
        seen += page.content.replaceAll(/^\d+\t/gm, "")
        first = page.next_line
      }
      assert.strictEqual(seen, text)
    }),
  )

  it.effect("shows the beginning of a line that is too long, and where its rest and the next line are", () =>
    Effect.gen(function* () {
      const text = `short\n${"é".repeat(50_000)}\nlast\n`
      const before = yield* readLocal(text, { first_line: 1 })
      assert.deepStrictEqual([before.content, before.next_line], ["1\tshort\n", 2])
      const long = yield* readLocal(text, { first_line: 2 })
      assert.match(long.content, /^2\té+$/)
      assert.deepStrictEqual([long.next_line, long.total_lines], [3, 3])
      assert.include(long.note, "Line 2 is cut")
      const rest = yield* readLocal(text, { offset: long.next_offset ?? 0 })
      assert.strictEqual(rest.content[0], "é")
      const control = yield* readLocal("\u0001".repeat(20_000), { first_line: 1 })
      assert.isBelow(JSON.stringify(control).length, 40_000)
      assert.isAbove(control.next_offset ?? 0, 5000)
    }),
  )

  it.effect("shows bytes that are no UTF-8 among lines, and says so", () =>
    Effect.gen(function* () {
      const { content, note } = yield* readLocal(Buffer.from([0x61, 0xff, 0x0a, 0x62]), { lines: 2 })
      assert.deepStrictEqual(
        [content, note],
        ["1\ta\ufffd\n2\tb", "Bytes that are no UTF-8 are shown as U+FFFD."],
      )
    }),
  )

  it.effect("shows an image beside the facts, by its bytes and not by its name", () =>
    Effect.gen(function* () {
      for (const [mimeType, bytes] of [
        ["image/png", png(100_000)],
        ["image/jpeg", Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0])],
        ["image/gif", Buffer.from("GIF89a...")],
        ["image/webp", Buffer.from("RIFF\0\0\0\0WEBPVP8 ")],
      ] as const) {
        assert.deepStrictEqual(yield* readLocal(bytes), {
          shown: [{ type: "image", data: bytes.toString("base64"), mimeType }],
          content: "",
          encoding: "base64",
          size: bytes.length,
          mime_type: mimeType,
        })
      }
      const bytes = yield* readLocal(png(100), { offset: 0 })
      assert.deepStrictEqual([bytes.shown, bytes.content], [[], png(100).toString("base64")])
    }),
  )

  it.effect("shows no image that is larger than clients take, and says how to have its bytes", () =>
    Effect.gen(function* () {
      const { note, shown, ...large } = yield* readLocal(png(700_001))
      assert.deepStrictEqual(shown, [])
      assert.deepStrictEqual(large, {
        content: "",
        encoding: "base64",
        size: 700_001,
        mime_type: "image/png",
        next_offset: 0,
      })
      assert.include(note, "next_offset")
      assert.lengthOf((yield* readLocal(png(700_000))).shown, 1)
    }),
  )

  it.effect("does not take bytes and lines at once", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(readLocal("a", { offset: 0, first_line: 1 }))
      assert.strictEqual(failure._tag, "InvalidArguments")
    }),
  )
})
