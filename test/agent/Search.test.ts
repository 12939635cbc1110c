import { assert, layer } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { rulesOf } from "../../src/agent/search/Ignores.ts"
import { glob } from "../../src/agent/search/Patterns.ts"
import { find } from "../../src/agent/commands/Paths.ts"
import type { SandboxFiles } from "../../src/sandbox/SandboxFiles.ts"
import { LocalFiles } from "../support/LocalFiles.ts"

const path = process.env["PATH"] ?? ""

const query = {
  pattern: "",
  glob: null,
  literal: false,
  ignoreCase: false,
  context: 0,
  limit: 100,
  maxBytes: 100_000,
}

/** Makes files with contents below the root. */
const setUp = (contents: Readonly<Record<string, string | Buffer>>) =>
  Effect.map(LocalFiles, (local) => {
    for (const [name, content] of Object.entries(contents)) {
      mkdirSync(dirname(`${local.root}/${name}`), { recursive: true })
      writeFileSync(`${local.root}/${name}`, content)
    }
    return { ...local, at: (path: string) => `${local.root}/${path}` }
  })

/** `path:line:text`, with `-` for context. */
const grep = (files: SandboxFiles, path: string, options: Partial<Parameters<SandboxFiles["grep"]>[0]>) =>
  Effect.map(files.grep({ ...query, path, ...options }), ({ files, ...rest }) => ({
    ...rest,
    lines: files.flatMap(({ path, lines }) =>
      lines.map(({ line, match, text }) => `${path}${match ? ":" : "-"}${line}${match ? ":" : "-"}${text}`),
    ),
  }))

layer(LocalFiles.layer, { excludeTestServices: true })("Search", (it) => {
  it.effect("finds files by their paths, without those that nested .gitignore files name", () =>
    Effect.gen(function* () {
      const { files, at } = yield* setUp({
        "glob/.gitignore":
          "node_modules/\n*.log\n/build\n!keep.log\ndoc/*.md\n# comment\n\\#odd\ntrailing \n",
        "glob/node_modules/a/index.ts": "",
        "glob/src/node_modules/b.ts": "",
        "glob/build/out.ts": "",
        "glob/src/build/in.ts": "",
        "glob/src/a.ts": "",
        "glob/src/b.tsx": "",
        "glob/src/deep/er/c.ts": "",
        "glob/src/x.log": "",
        "glob/src/keep.log": "",
        "glob/src/generated/.gitignore": "*\n!.gitignore\n!kept.ts\n",
        "glob/src/generated/g.ts": "",
        "glob/src/generated/kept.ts": "",
        "glob/src/logs/.gitignore": "!*.log\n",
        "glob/src/logs/back.log": "",
        "glob/doc/a.md": "",
        "glob/doc/sub/b.md": "",
        "glob/#odd": "",
        "glob/trailing": "",
        "glob/.git/HEAD": "",
        "glob/.github/w.yml": "",
      })
      symlinkSync("a.ts", at("glob/src/link.ts"))
      const names = (pattern: string, folder = "glob", limit = 100) =>
        Effect.map(files.glob(at(folder), pattern, limit), ({ paths, truncated }) => {
          assert.strictEqual(truncated, limit < 100)
          return paths.map((path) => path.slice(5))
        })
      assert.deepStrictEqual(yield* names("**/*.ts"), [
        "src/a.ts",
        "src/build/in.ts",
        "src/deep/er/c.ts",
        "src/generated/kept.ts",
        "src/link.ts",
      ])
      assert.deepStrictEqual(yield* names("*.log"), ["src/keep.log", "src/logs/back.log"])
      assert.deepStrictEqual(yield* names("src/*.{ts,tsx}"), ["src/a.ts", "src/b.tsx", "src/link.ts"])
      assert.deepStrictEqual(yield* names("{#odd,trailing,HEAD,*.yml,*.md}"), [
        ".github/w.yml",
        "doc/sub/b.md",
      ])
      assert.deepStrictEqual(yield* names("*.ts", "glob/src/deep"), ["src/deep/er/c.ts"])
      assert.deepStrictEqual(yield* names("*.log", "glob/src/logs"), ["src/logs/back.log"])
      assert.deepStrictEqual(yield* names("*.md", "glob/doc"), ["doc/sub/b.md"])
      assert.deepStrictEqual(yield* names("*", "glob/node_modules/a"), ["node_modules/a/index.ts"])
      assert.deepStrictEqual(yield* names("*.ts", "glob", 2), ["src/a.ts", "src/build/in.ts"])
    }),
  )

  const engines = [
    ["our own expressions", ""],
    ["ripgrep", path],
  ] as const

  for (const [how, path] of engines) {
    const engine = path !== "" && find("rg", "/", path) === undefined ? it.effect.skip : it.effect

    engine(`finds lines, by ${how}`, () =>
      Effect.gen(function* () {
        const { withPath, at } = yield* setUp({
          "grep/.gitignore": "skipped\n",
          "grep/skipped": "needle\n",
          "grep/a.txt": "one\nneedle two\nthree\nfour\nneedle five\nsix\nseven\neight\nNeedle nine",
          "grep/b/c.md": "a needle\r\nb\r\nneedle\r\n",
          "grep/-x": "x (needle)\n",
          "grep/line\nbreak": "\n\nneedle\n",
          "grep/binary": Buffer.from("needle\nneedle\n\0needle\n"),
          "grep/latin": Buffer.from([0xe4, 0x20, ...Buffer.from("needle\n")]),
          "grep/long": `${"x".repeat(100_000)}needle\nneedle\n`,
          "grep/empty": "",
        })
        const files = yield* withPath(path)
        const x = "x".repeat(500)
        assert.deepStrictEqual(yield* grep(files, at("grep"), { pattern: "needle" }), {
          lines: [
            "grep/-x:1:x (needle)",
            "grep/a.txt:2:needle two",
            "grep/a.txt:5:needle five",
            "grep/b/c.md:1:a needle",
            "grep/b/c.md:3:needle",
            "grep/latin:1:\ufffd needle",
            "grep/line\nbreak:3:needle",
            `grep/long:1:${x}`,
            "grep/long:2:needle",
          ],
          truncated: false,
          timedOut: false,
          skipped: 0,
        })
        const lines = (options: Parameters<typeof grep>[2], path = "grep") =>
          Effect.map(grep(files, at(path), options), ({ lines }) => lines)
        assert.deepStrictEqual(yield* lines({ pattern: "^needle$" }), [
          "grep/b/c.md:3:needle",
          "grep/line\nbreak:3:needle",
          "grep/long:2:needle",
        ])
        assert.deepStrictEqual(yield* lines({ pattern: "(needle)", literal: true }), ["grep/-x:1:x (needle)"])
        assert.deepStrictEqual(
          yield* lines({ pattern: "NEEDLE (two|nine)", ignoreCase: true, glob: "*.txt" }),
          ["grep/a.txt:2:needle two", "grep/a.txt:9:Needle nine"],
        )
        assert.deepStrictEqual(yield* lines({ pattern: "(?i)NEEDLE n" }), ["grep/a.txt:9:Needle nine"])
        assert.deepStrictEqual(yield* lines({ pattern: "e", context: 1 }, "grep/b/c.md"), [
          "grep/b/c.md:1:a needle",
          "grep/b/c.md-2-b",
          "grep/b/c.md:3:needle",
        ])
        assert.deepStrictEqual(yield* lines({ pattern: "needle", context: 1, glob: "a.*" }), [
          "grep/a.txt-1-one",
          "grep/a.txt:2:needle two",
          "grep/a.txt-3-three",
          "grep/a.txt-4-four",
          "grep/a.txt:5:needle five",
          "grep/a.txt-6-six",
        ])
        assert.deepStrictEqual(yield* lines({ pattern: "nine", context: 3 }), [
          "grep/a.txt-6-six",
          "grep/a.txt-7-seven",
          "grep/a.txt-8-eight",
          "grep/a.txt:9:Needle nine",
        ])
        const some = yield* grep(files, at("grep"), { pattern: "needle", limit: 2 })
        assert.deepStrictEqual(some.lines, ["grep/-x:1:x (needle)", "grep/a.txt:2:needle two"])
        assert.isTrue(some.truncated)
        const nine = yield* grep(files, at("grep"), { pattern: "needle", limit: 9 })
        assert.deepStrictEqual([nine.lines.length, nine.truncated], [9, false])
        const little = yield* grep(files, at("grep"), { pattern: "needle", maxBytes: 150 })
        assert.deepStrictEqual([little.lines.length, little.truncated], [2, true])
        assert.deepStrictEqual(yield* lines({ pattern: "no such line" }), [])
        for (const pattern of ["(", "a\\nb", "*"]) {
          const error = yield* Effect.flip(files.grep({ ...query, path: at("grep"), pattern }))
          assert.strictEqual(error._tag, "FileError", pattern)
        }
      }),
    )

    engine(
      `is done in time with an expression that takes for ever, by ${how}`,
      () =>
        Effect.gen(function* () {
          const { withPath, at } = yield* setUp({
            "forever/a": "match: aaa\n",
            "forever/b": `${"a".repeat(60)}!\n`,
            "forever/c": "match: aaa\n",
          })
          const files = yield* withPath(path, 1000)
          const [{ lines, timedOut, truncated }, waited] = yield* Effect.all(
            [
              grep(files, at("forever"), { pattern: "^(match: )?(a+)+$" }),
              // Others are answered meanwhile.
              Effect.timed(Effect.repeatN(files.stat(at("forever")), 100)),
            ],
            { concurrency: 2 },
          )
          assert.strictEqual(lines[0], "forever/a:1:match: aaa")
          assert.deepStrictEqual([timedOut, truncated], path === "" ? [true, true] : [false, false])
          assert.isBelow(Duration.toMillis(waited[0]), 1000)
          const stars = "*a".repeat(30)
          writeFileSync(at(`forever/${"a".repeat(200)}`), "")
          assert.deepStrictEqual((yield* files.glob(at("forever"), `${stars}b`, 9)).paths, [])
        }),
      20_000,
    )
  }

  it.effect("searches what is many and large in a fair time", () =>
    Effect.gen(function* () {
      const many = Object.fromEntries(
        Array.from({ length: 2500 }, (_, index) => [
          `many/${index % 50}/${index}.txt`,
          `text ${index}\nneedle\n`,
        ]),
      )
      const { withPath, at } = yield* setUp(many)
      for (const engine of [yield* withPath(""), yield* withPath(path)]) {
        const { lines, truncated } = yield* grep(engine, at("many"), {
          pattern: "needle",
          limit: 5000,
          maxBytes: 1_000_000,
        })
        assert.deepStrictEqual([lines.length, truncated], [2500, false])
        const last = yield* grep(engine, at("many"), { pattern: "text 2499$" })
        assert.deepStrictEqual(last.lines, ["many/49/2499.txt:1:text 2499"])
      }
    }),
  )

  it.effect("says how many files it could not look into", () =>
    Effect.gen(function* () {
      const { files, at } = yield* setUp({ "odd/a": "needle" })
      writeFileSync(Buffer.concat([Buffer.from(at("odd/")), Buffer.from([0xff])]), "needle")
      const { lines, skipped } = yield* grep(files, at("odd"), { pattern: "needle" })
      assert.deepStrictEqual([lines, skipped], [["odd/a:1:needle"], 1])
      assert.deepStrictEqual((yield* files.glob(at("odd"), "*", 9)).paths, ["odd/a", "odd/\uf7ff"])
    }),
  )

  it.effect("knows the patterns of shells and of git", () =>
    Effect.sync(() => {
      const matches = (pattern: string, path: string) => glob(pattern)(path.split("/"))
      for (const [pattern, yes, no] of [
        ["*.ts", ["a.ts", "b/a.ts", ".ts"], ["a.tsx", "ats"]],
        ["src/**", ["src/a", "src/b/c"], ["src", "a/src/b"]],
        ["src/**/test/*.ts", ["src/test/a.ts", "src/a/b/test/a.ts"], ["src/test/a/a.ts"]],
        ["**/a/**/b", ["a/b", "x/a/y/z/b"], ["a", "b"]],
        ["a?c", ["abc", "a🦀c"], ["ac", "abbc"]],
        ["[a-c][!d][]x]", ["ae]", "bfx"], ["adx", "dex"]],
        ["{a,b{c,d}}.{x,y}", ["a.x", "bc.y", "bd.x"], ["b.x", "bcd.x"]],
        ["a\\*b", ["a*b"], ["axb"]],
        ["[ab", ["[ab"], ["a"]],
        ["/top", ["top"], []],
      ] as const) {
        for (const path of yes) assert.isTrue(matches(pattern, path), `${pattern} ${path}`)
        for (const path of no) assert.isFalse(matches(pattern, path), `${pattern} ${path}`)
      }
      assert.strictEqual(rulesOf("# no\n\n!\n/\n\\!yes\nb/ \n").length, 2)
    }),
  )
})
