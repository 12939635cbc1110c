import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { type Explained, failureOf } from "../../../src/domain/Failure.ts"
import { applyPatch } from "../../../src/tools/files/ApplyPatch.ts"
import { deleteFile } from "../../../src/tools/files/DeleteFile.ts"
import { editFile } from "../../../src/tools/files/EditFile.ts"
import { findFiles } from "../../../src/tools/files/FindFiles.ts"
import { moveFile } from "../../../src/tools/files/MoveFile.ts"
import { readFile } from "../../../src/tools/files/ReadFile.ts"
import { searchFiles } from "../../../src/tools/files/SearchFiles.ts"
import { writeFile } from "../../../src/tools/files/WriteFile.ts"
import type { OwnerCall } from "../../../src/tools/Tool.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"
import { output, SharedSandbox } from "../../support/SharedSandbox.ts"

interface Handler<I, A> {
  readonly handler: (input: I, call: OwnerCall) => Effect.Effect<A, Explained>
}

/** Runs a tool in the shared sandbox. */
const use = <I, A>(tool: Handler<I, A>, input: I) =>
  Effect.flatMap(SharedSandbox, (sandbox) =>
    tool.handler(input, {
      ...FakeSandbox.call(Effect.succeed(sandbox)),
      limits: { ...FakeSandbox.limits, file: 8 * 1024 * 1024 },
    }),
  )

/** The code that a model is told where a tool refuses. */
const refused = <I, A>(tool: Handler<I, A>, input: I) =>
  Effect.map(Effect.flip(use(tool, input)), (error) => failureOf(error).code)

const shell = (command: string) => Effect.flatMap(SharedSandbox, (sandbox) => output(sandbox, command))

const edit = (path: string, old_text = "text", new_text = "other") =>
  [editFile, { path, edits: [{ old_text, new_text }] }] as const

const patch = (path: string, from: string, to: string) =>
  `--- a/${path}\n+++ b/${path}\n@@ -1 +1 @@\n-${from}\n+${to}\n`

layer(SharedSandbox.layer, { excludeTestServices: true, timeout: "60 seconds" })("File tools", (it) => {
  it.effect("carry a model's day: write, look, edit, patch, move, copy, delete", () =>
    Effect.gen(function* () {
      yield* use(writeFile, { path: "day/src/app.py", content: "def add(a, b):\n    return a - b\n" })
      yield* shell(
        "chmod 755 day/src/app.py; git init -q day; cd day; git add -A; echo pinned > .gitattributes",
      )
      const found = yield* use(searchFiles, { path: "day", pattern: "return .* - " })
      assert.deepStrictEqual(found.files, [{ path: "day/src/app.py", lines: ["2:    return a - b"] }])
      const read = yield* use(readFile, { path: "day/src/app.py", first_line: 2, lines: 1 })
      assert.deepStrictEqual([read.content, read.total_lines], ["2\t    return a - b\n", 2])
      const { diff } = yield* use(...edit("day/src/app.py", "a - b", "a + b"))
      assert.include(diff, "-    return a - b\n+    return a + b\n")
      assert.strictEqual(
        yield* shell("cat day/src/app.py; stat -c %a day/src/app.py"),
        "def add(a, b):\n    return a + b\n755\n",
      )
      // What git says of the edit, taken back by the tool that reads what git says.
      yield* shell("cd day; git diff -R --output=/tmp/back --src-prefix=a/day/ --dst-prefix=b/day/ src")
      const { files } = yield* use(applyPatch, { patch: yield* shell("cat /tmp/back; rm /tmp/back") })
      assert.deepStrictEqual(files, [{ path: "day/src/app.py", change: "modified", added: 1, removed: 1 }])
      assert.strictEqual(yield* shell("git -C day diff --stat"), "")
      yield* use(moveFile, { from: "day/src/app.py", to: "day/lib/app.py" })
      yield* use(moveFile, { from: "day/lib", to: "day/copy", copy: true })
      assert.strictEqual(
        yield* refused(moveFile, { from: "day/lib/app.py", to: "day/copy/app.py" }),
        "already_exists",
      )
      yield* use(moveFile, { from: "day/lib/app.py", to: "day/copy/app.py", replace: true })
      assert.deepStrictEqual((yield* use(findFiles, { path: "day", pattern: "*.py" })).paths, [
        "day/copy/app.py",
      ])
      assert.strictEqual(yield* refused(deleteFile, { path: "day" }), "not_empty")
      yield* use(deleteFile, { path: "day/src" })
      yield* use(deleteFile, { path: "day", recursive: true })
      assert.strictEqual(yield* shell("ls -A"), "")
    }),
  )

  it.effect("never lead out of the workspace, and never wait for a pipe or a device", () =>
    Effect.gen(function* () {
      yield* shell(
        "mkdir bad; cd bad; echo text > /tmp/outside; ln -s /tmp/outside out; ln -s /tmp folder; mkfifo pipe; " +
          "ln -s /dev/zero zero; ln -s loop loop; ln -s nowhere dangling; echo text > real; ln -s real inside",
      )
      for (const [name, code] of [
        ["out", "path_outside_workspace"],
        ["folder/outside", "path_outside_workspace"],
        ["zero", "path_outside_workspace"],
        ["pipe", "not_a_file"],
        ["loop", "not_found"],
        ["dangling", "not_found"],
        ["../../tmp/outside", "path_outside_workspace"],
      ] as const) {
        const path = `bad/${name}`
        assert.strictEqual(yield* refused(...edit(path)), code, name)
        assert.strictEqual(yield* refused(readFile, { path, first_line: 1 }), code, name)
        const isPath = !name.includes("..")
        assert.strictEqual(
          yield* refused(applyPatch, { patch: patch(path, "text", "other") }),
          isPath ? "patch_does_not_apply" : "bad_patch",
          name,
        )
      }
      for (const [from, to] of [
        ["bad/real", "/tmp/taken"],
        ["bad/real", "bad/folder/taken"],
        ["/tmp/outside", "bad/taken"],
      ] as const) {
        for (const copy of [false, true])
          assert.strictEqual(yield* refused(moveFile, { from, to, copy }), "path_outside_workspace", to)
      }
      assert.strictEqual(yield* refused(deleteFile, { path: "bad/folder/outside" }), "path_outside_workspace")
      assert.strictEqual(yield* refused(deleteFile, { path: "/workspace", recursive: true }), "bad_path")
      assert.strictEqual(
        yield* refused(findFiles, { path: "bad/folder", pattern: "*" }),
        "path_outside_workspace",
      )
      assert.strictEqual(
        yield* refused(searchFiles, { path: "bad/out", pattern: "x" }),
        "path_outside_workspace",
      )
      const { files } = yield* use(searchFiles, { path: "bad", pattern: "text" })
      assert.deepStrictEqual(files, [{ path: "bad/real", lines: ["1:text"] }])
      yield* use(...edit("bad/inside"))
      // Links go, and not what they lead to.
      yield* use(deleteFile, { path: "bad/out" })
      yield* use(deleteFile, { path: "bad", recursive: true })
      assert.strictEqual(yield* shell("ls -A; cat /tmp/outside; ls /tmp; rm /tmp/outside"), "text\noutside\n")
    }),
  )

  it.effect("take names with line breaks and with bytes that are no UTF-8, and contents of any bytes", () =>
    Effect.gen(function* () {
      yield* shell(
        `mkdir odd; cd odd; printf 'text\\n' > "$(printf 'line\\nbreak')"; printf 'text\\n' > "$(printf 'byte\\377')"; ` +
          "printf 'text \\377\\376\\0 end\\n' > bytes",
      )
      const { paths } = yield* use(findFiles, { path: "odd", pattern: "*" })
      assert.deepStrictEqual(paths, ["odd/bytes", "odd/byte\uf7ff", "odd/line\nbreak"])
      for (const path of paths) yield* use(...edit(path))
      yield* use(applyPatch, {
        patch: patch('"a/odd/byte\\377"', "other", "patched")
          .replaceAll(/(---|\+\+\+) [ab]\//g, "$1 ")
          .replace('+++ "a/', '+++ "b/'),
      })
      yield* use(moveFile, { from: "odd/line\nbreak", to: "odd/moved\n\uf7fe" })
      assert.strictEqual(
        yield* shell(
          'cd odd; for f in *; do printf \'%s\' "$f" | od -An -tx1 -c | head -1; od -An -c "$f"; done',
        ),
        yield* shell(
          "mkdir /tmp/x; cd /tmp/x; printf 'patched\\n' > \"$(printf 'byte\\377')\"; printf 'other \\377\\376\\0 end\\n' > bytes; " +
            "printf 'other\\n' > \"$(printf 'moved\\n\\376')\"; for f in *; do printf '%s' \"$f\" | od -An -tx1 -c | head -1; od -An -c \"$f\"; done; rm -r /tmp/x",
        ),
      )
      const search = yield* use(searchFiles, { path: "odd", pattern: "patched|other" })
      assert.deepStrictEqual(
        [search.matches, search.note],
        [0, "2 files whose names are no text were not searched."],
      )
      yield* use(deleteFile, { path: "odd", recursive: true })
    }),
  )

  it.effect("take a patch back where the workspace becomes full half-way", () =>
    Effect.gen(function* () {
      yield* shell(
        "mkdir full; cd full; echo one > one; echo two > two; head -c 62000000 /dev/zero > /workspace/filler",
      )
      const long = "x".repeat(6_000_000)
      const failing = patch("full/one", "one", "ONE") + patch("full/two", "two", long)
      const failure = yield* Effect.map(Effect.flip(use(applyPatch, { patch: failing })), failureOf)
      assert.strictEqual(failure.code, "patch_failed")
      assert.include(failure.message, "the workspace is full")
      assert.strictEqual(yield* refused(...edit("full/two", "two", long)), "workspace_full")
      assert.strictEqual(yield* shell("cat full/one full/two; ls -A full"), "one\ntwo\none\ntwo\n")
      yield* shell("rm -r full filler")
    }),
  )
})

/** As many files need a larger workspace: one has a file for 4 KiB. */
const large = { SANDBOX_WORKSPACE: String(512 * 1024 * 1024), SANDBOX_MEMORY: String(1024 * 1024 * 1024) }

layer(SharedSandbox.layerOf(large), { excludeTestServices: true, timeout: "60 seconds" })(
  "File tools in a large workspace",
  (it) => {
    it.effect(
      "answer within their time, and shortly, among 100,000 files, and remove them",
      () =>
        Effect.gen(function* () {
          yield* shell(
            "python3 -c \"import os\nfor d in range(100):\n os.makedirs(f'many/{d}')\n for f in range(1000): open(f'many/{d}/{f}.txt','w').write('needle' if f == 7 else '')\"",
          )
          const last = yield* use(findFiles, { path: "many", pattern: "99/999.txt" })
          assert.deepStrictEqual(last, { paths: ["many/99/999.txt"], truncated: false })
          const needles = yield* use(searchFiles, { path: "many", pattern: "needle", limit: 1000 })
          // A search ends after ten seconds, which is much to ask of a busy machine; then it says so.
          if (needles.truncated) assert.include(needles.note, "The time was over")
          else assert.strictEqual(needles.matches, 100)
          assert.isAbove(needles.matches, 0)
          yield* use(...edit("many/5/7.txt", "needle", "found"))
          yield* use(deleteFile, { path: "many", recursive: true })
          assert.strictEqual(yield* shell("ls -A"), "")
        }),
      120_000,
    )
  },
)
