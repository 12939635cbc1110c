import { assert, layer } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { editFile } from "../../../src/tools/files/EditFile.ts"
import { answer, refusal } from "../../support/LocalCall.ts"
import { LocalFiles } from "../../support/LocalFiles.ts"

type Edits = Parameters<typeof editFile.handler>[0]["edits"]

let files = 0

/** A file of this content; `edit` and `refuse` run the tool on it. */
const fileOf = (content: string | Uint8Array) =>
  Effect.map(LocalFiles, ({ root }) => {
    const path = `${root}/file-${++files}`
    writeFileSync(path, content)
    return {
      path,
      bytes: () => readFileSync(path),
      text: () => readFileSync(path, "utf8"),
      edit: (...edits: Edits) => answer(editFile, { path, edits }),
      refuse: (...edits: Edits) => refusal(editFile, { path, edits }),
    }
  })

layer(LocalFiles.layer, { excludeTestServices: true })("EditFile", (it) => {
  it.effect("replaces several texts at once, and answers what changed as a unified diff", () =>
    Effect.gen(function* () {
      const lines = Array.from({ length: 30 }, (_, index) => `line ${index + 1}`)
      const { edit, path, text } = yield* fileOf(`${lines.join("\n")}\n`)
      const { checkpoint, diff, diff_truncated, replaced, size } = yield* edit(
        { old_text: "line 20\n", new_text: "line 20\nmore\n" },
        { old_text: "line 3\nline 4", new_text: "third\nline 4" },
      )
      assert.strictEqual(text(), `${lines.with(2, "third").toSpliced(20, 0, "more").join("\n")}\n`)
      assert.deepStrictEqual(
        [replaced, size, diff_truncated, checkpoint.state],
        [2, text().length, false, "off"],
      )
      assert.strictEqual(
        diff,
        [
          `--- a/${path}`,
          `+++ b/${path}`,
          "@@ -1,6 +1,6 @@",
          " line 1",
          " line 2",
          "-line 3",
          "+third",
          " line 4",
          " line 5",
          " line 6",
          "@@ -18,6 +18,7 @@",
          " line 18",
          " line 19",
          " line 20",
          "+more",
          " line 21",
          " line 22",
          " line 23",
          "",
        ].join("\n"),
      )
    }),
  )

  it.effect("changes nothing where one of the edits does not fit, and says of each why", () =>
    Effect.gen(function* () {
      const content = "alpha\nbeta\nalpha\n  return 1\n"
      const { path, refuse, text } = yield* fileOf(content)
      const failure = yield* refuse(
        { old_text: "beta", new_text: "gamma" },
        { old_text: "alpha", new_text: "omega" },
        { old_text: "return 1\nend", new_text: "x" },
      )
      assert.strictEqual(text(), content)
      assert.strictEqual(failure.code, "text_ambiguous")
      assert.strictEqual(
        failure.message,
        `${path} was not changed.\n` +
          "Edit 2 of 3: old_text stands 2 times in the file, at the lines 1, 3.\n" +
          "Edit 3 of 3: old_text is not in the file. The nearest is at line 4. There stands:\n  return 1",
      )
      assert.include(failure.next, "replace_all")
    }),
  )

  it.effect("replaces a text wherever it stands where asked, and names ten lines of many otherwise", () =>
    Effect.gen(function* () {
      const { edit, refuse, text } = yield* fileOf("x = 1\n".repeat(40))
      assert.include(
        (yield* refuse({ old_text: "1", new_text: "2" })).message,
        "stands 40 times in the file, at the lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ….",
      )
      assert.strictEqual((yield* edit({ old_text: "1", new_text: "2", replace_all: true })).replaced, 40)
      assert.strictEqual(text(), "x = 2\n".repeat(40))
    }),
  )

  it.effect("shows a stale text what stands there now", () =>
    Effect.gen(function* () {
      const { refuse } = yield* fileOf("a\nb\nfunction add(a, b) {\n\treturn a + b\n}\nc\n")
      const spaces = yield* refuse({ old_text: "function add(a, b) {\n  return a + b\n}", new_text: "" })
      assert.include(
        spaces.message,
        "Line 3 differs from it in white space alone. There stands:\nfunction add(a, b) {\n\treturn a + b\n}",
      )
      const changed = yield* refuse({ old_text: "function add(a, b) {\n\treturn b + a", new_text: "" })
      assert.include(
        changed.message,
        "The nearest is at line 3. There stands:\nfunction add(a, b) {\n\treturn a + b",
      )
      const alike = yield* refuse({ old_text: "functoin add(a, b)", new_text: "" })
      assert.include(alike.message, "The nearest is at line 3.")
      const short = yield* Effect.flatMap(fileOf("y = 0\n    x = 1\n"), ({ refuse }) =>
        refuse({ old_text: "    x = 2", new_text: "" }),
      )
      assert.include(short.message, "The nearest is at line 2. There stands:\n    x = 1")
      const none = yield* refuse({ old_text: "nothing of the kind", new_text: "" })
      assert.isTrue(none.message.endsWith("old_text is not in the file."))
    }),
  )

  it.effect("refuses edits of the same text, and those that change nothing", () =>
    Effect.gen(function* () {
      const { edit, refuse, text } = yield* fileOf("one two three\n")
      const both = [
        { old_text: "two three", new_text: "2 3" },
        { old_text: "one two", new_text: "1 2" },
      ] as const
      assert.deepInclude(yield* refuse(...both), { code: "edits_overlap" })
      assert.deepInclude(yield* refuse({ old_text: "one", new_text: "one" }), { code: "nothing_to_change" })
      // What only touches is fine, and is looked for in the file as it was.
      yield* edit({ old_text: "one", new_text: "two" }, { old_text: " two", new_text: "+one" })
      assert.strictEqual(text(), "two+one three\n")
    }),
  )

  it.effect(
    "edits files that end their lines in CRLF by texts that end theirs in LF, and keeps all line ends",
    () =>
      Effect.gen(function* () {
        const windows = yield* fileOf("a\r\nb\r\nc\r\nlast")
        yield* windows.edit(
          { old_text: "a\nb\n", new_text: "a\nB\nnew\n" },
          { old_text: "last", new_text: "last\nline" },
        )
        assert.strictEqual(windows.text(), "a\r\nB\r\nnew\r\nc\r\nlast\r\nline")
        const mixed = yield* fileOf("a\r\nb\nc\nd\r\n")
        yield* mixed.edit({ old_text: "c\nd", new_text: "c\nx\nd" }, { old_text: "a\n", new_text: "a\ny\n" })
        assert.strictEqual(mixed.text(), "a\r\ny\r\nb\nc\nx\nd\r\n")
        const unix = yield* fileOf("a\nb\n")
        yield* unix.edit({ old_text: "a\r\nb", new_text: "a\nB" })
        assert.strictEqual(unix.text(), "a\nB\n")
      }),
  )

  it.effect(
    "keeps permissions, a byte order mark, a missing final newline, and bytes that are no UTF-8",
    () =>
      Effect.gen(function* () {
        const { bytes, edit, path } = yield* fileOf(
          Buffer.concat([
            Buffer.from("\ufeffgrüße\n"),
            Buffer.from([0xff, 0xfe, 0x00, 0x0a]),
            Buffer.from("end"),
          ]),
        )
        chmodSync(path, 0o750)
        const { diff } = yield* edit(
          { old_text: "grüße", new_text: "🦀" },
          { old_text: "end", new_text: "END" },
        )
        assert.strictEqual(
          bytes().toString("hex"),
          Buffer.concat([
            Buffer.from("\ufeff🦀\n"),
            Buffer.from([0xff, 0xfe, 0x00, 0x0a]),
            Buffer.from("END"),
          ]).toString("hex"),
        )
        assert.strictEqual(statSync(path).mode & 0o777, 0o750)
        assert.include(diff, "-end\n\\ No newline at end of file\n+END\n\\ No newline at end of file\n")
      }),
  )

  it.effect("loses none of 50 edits of one file at the same time", () =>
    Effect.gen(function* () {
      const names = Array.from({ length: 50 }, (_, index) => `<${index}>`)
      const { edit, text } = yield* fileOf(names.join("\n"))
      yield* Effect.forEach(names, (name) => edit({ old_text: name, new_text: `done ${name}` }), {
        concurrency: "unbounded",
      })
      assert.strictEqual(text(), names.map((name) => `done ${name}`).join("\n"))
    }),
  )

  it.effect("takes a fair time for texts that are made to take long, and refuses what grows too large", () =>
    Effect.gen(function* () {
      const { edit, refuse } = yield* fileOf("a".repeat(1_000_000))
      const half = "a".repeat(250_000)
      const [waited, failure] = yield* Effect.timed(refuse({ old_text: `${half}b${half}`, new_text: "" }))
      assert.strictEqual(failure.code, "text_not_found")
      assert.isBelow(Duration.toMillis(waited), 3000)
      assert.deepInclude(yield* refuse({ old_text: "a", new_text: "b", replace_all: true }), {
        code: "too_many_matches",
      })
      const long = { old_text: "a".repeat(100), new_text: "b".repeat(2000), replace_all: true }
      assert.deepInclude(yield* refuse(long), { code: "file_too_large" })
      const { diff, diff_truncated } = yield* edit({ ...long, new_text: "b\n" })
      assert.isTrue(diff_truncated)
      assert.isBelow(JSON.stringify(diff).length, 25_000)
    }),
  )

  it.effect("shows as much of a long change as an answer takes", () =>
    Effect.gen(function* () {
      const { edit } = yield* fileOf("\u0001\n".repeat(20_000))
      const { diff, diff_truncated } = yield* edit({
        old_text: "\u0001\n".repeat(15_000),
        new_text: "\u0002\n".repeat(15_000),
      })
      assert.isTrue(diff_truncated)
      assert.isAbove(diff.length, 4000)
      assert.isBelow(JSON.stringify(diff).length, 20_100)
    }),
  )
})
