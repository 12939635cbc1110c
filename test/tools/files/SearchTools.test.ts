import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { findFiles } from "../../../src/tools/files/FindFiles.ts"
import { searchFiles } from "../../../src/tools/files/SearchFiles.ts"
import { answer, refusal } from "../../support/LocalCall.ts"
import { LocalFiles } from "../../support/LocalFiles.ts"

/** A folder of these files. */
const folderOf = (name: string, contents: Readonly<Record<string, string>>) =>
  Effect.map(LocalFiles, ({ root }) => {
    const path = `${root}/${name}`
    for (const [file, content] of Object.entries(contents)) {
      mkdirSync(dirname(`${path}/${file}`), { recursive: true })
      writeFileSync(`${path}/${file}`, content)
    }
    return path
  })

layer(LocalFiles.layer, { excludeTestServices: true })("Search tools", (it) => {
  it.effect("groups lines by file, with their numbers, and marks those around them", () =>
    Effect.gen(function* () {
      const path = yield* folderOf("lines", {
        "a.ts": "one\nneedle 1\nthree\n",
        "b/c.ts": "needle 2\n",
        "b/d.md": "Needle 3\n",
      })
      assert.deepStrictEqual(yield* answer(searchFiles, { path, pattern: "needle \\d", context: 1 }), {
        files: [
          { path: "lines/a.ts", lines: ["1-one", "2:needle 1", "3-three"] },
          { path: "lines/b/c.ts", lines: ["1:needle 2"] },
        ],
        matches: 2,
        truncated: false,
      })
      const all = { path, pattern: "NEEDLE", ignore_case: true }
      assert.deepStrictEqual(yield* answer(searchFiles, { ...all, glob: "*.md" }), {
        files: [{ path: "lines/b/d.md", lines: ["1:Needle 3"] }],
        matches: 1,
        truncated: false,
      })
      assert.deepStrictEqual(yield* answer(searchFiles, { ...all, limit: 1 }), {
        files: [{ path: "lines/a.ts", lines: ["2:needle 1"] }],
        matches: 1,
        truncated: true,
        note: "Narrow `pattern`, `path` or `glob` to see the rest.",
      })
      assert.deepStrictEqual(
        (yield* answer(searchFiles, { path, pattern: "e \\d", literal: true })).files,
        [],
      )
      assert.deepInclude(yield* refusal(searchFiles, { path, pattern: "(" }), { code: "bad_pattern" })
    }),
  )

  it.effect("finds files by name and by path, and says that there are more", () =>
    Effect.gen(function* () {
      const path = yield* folderOf("found", {
        ".gitignore": "ignored\n",
        "a.ts": "",
        "b/c.ts": "",
        "b/line\nbreak.ts": "",
        "ignored/d.ts": "",
      })
      assert.deepStrictEqual(yield* answer(findFiles, { path, pattern: "*.ts" }), {
        paths: ["found/a.ts", "found/b/c.ts", "found/b/line\nbreak.ts"],
        truncated: false,
      })
      assert.deepStrictEqual((yield* answer(findFiles, { path, pattern: "b/*.ts" })).paths.length, 2)
      assert.deepStrictEqual((yield* answer(findFiles, { path: `${path}/ignored`, pattern: "*.ts" })).paths, [
        "found/ignored/d.ts",
      ])
      assert.deepStrictEqual(yield* answer(findFiles, { path, pattern: "*", limit: 1 }), {
        paths: ["found/.gitignore"],
        truncated: true,
      })
      assert.deepInclude(yield* refusal(findFiles, { path: `${path}/none`, pattern: "*" }), {
        code: "not_found",
      })
    }),
  )

  it.effect("keeps its answers short where paths and lines are long, and says so", () =>
    Effect.gen(function* () {
      const long = `${"d".repeat(200)}/`.repeat(5)
      const path = yield* folderOf(
        "long",
        Object.fromEntries(
          Array.from({ length: 90 }, (_, index) => [
            `${long}${index}.txt`,
            `needle ${"\u0001".repeat(400)}\n`,
          ]),
        ),
      )
      const found = yield* answer(searchFiles, { path, pattern: "needle" })
      const paths = yield* answer(findFiles, { path, pattern: "*.txt" })
      for (const one of [found, paths]) {
        assert.isTrue(one.truncated)
        assert.isBelow(JSON.stringify(one).length, 40_000)
      }
      assert.strictEqual(found.matches, found.files.length)
      assert.isAbove(found.matches, 5)
      assert.isAbove(paths.paths.length, 20)
    }),
  )
})
