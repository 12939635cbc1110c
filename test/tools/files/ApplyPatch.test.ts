import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { dirname } from "node:path"
import { FileError } from "../../../src/domain/SandboxError.ts"
import { failureOf } from "../../../src/domain/Failure.ts"
import type { SandboxFiles } from "../../../src/sandbox/SandboxFiles.ts"
import { applyPatch } from "../../../src/tools/files/ApplyPatch.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"
import { localCall } from "../../support/LocalCall.ts"
import { LocalFiles } from "../../support/LocalFiles.ts"

let folders = 0

/** A folder of these files that stands for /workspace. */
const folderOf = (
  contents: Readonly<Record<string, string | Buffer>>,
  wrap = (files: SandboxFiles) => files,
) =>
  Effect.map(LocalFiles, ({ files, root }) => {
    const folder = `${root}/folder-${++folders}`
    const at = (path: string) => `${folder}/${path}`
    const write = (path: string, content: string | Buffer) => {
      mkdirSync(dirname(at(path)), { recursive: true })
      writeFileSync(at(path), content)
    }
    mkdirSync(folder)
    for (const [path, content] of Object.entries(contents)) write(path, content)
    const here = wrap(moved(files, folder))
    const handle = (patch: string) =>
      Effect.flatMap(localCall(), (call) =>
        applyPatch.handler(
          { patch },
          { ...call, sandbox: Effect.succeed(FakeSandbox.make({ files: here })) },
        ),
      )
    return {
      folder,
      at,
      write,
      text: (path: string) => (existsSync(at(path)) ? readFileSync(at(path), "latin1") : undefined),
      apply: (patch: string) => Effect.map(handle(patch), ({ files }) => files),
      refuse: (patch: string) => Effect.map(Effect.flip(handle(patch)), failureOf),
    }
  })

/** Files whose /workspace is a folder below the real root. */
const moved = (files: SandboxFiles, folder: string): SandboxFiles => {
  const at = (path: string) => path.replace(/^\/workspace/, folder)
  const name = folder.split("/").at(-1)!
  return {
    ...files,
    read: (path, offset, length) => files.read(at(path), offset, length),
    write: (path, data, mode) => files.write(at(path), data, mode),
    remove: (path, recursive) => files.remove(at(path), recursive),
    stat: (path) =>
      Effect.map(files.stat(at(path)), (stat) => ({ ...stat, path: stat.path.slice(name.length + 1) })),
  }
}

const change = (path: string, from: string, to: string) =>
  `--- a/${path}\n+++ b/${path}\n@@ -1 +1 @@\n-${from}\n+${to}\n`

layer(LocalFiles.layer, { excludeTestServices: true })("ApplyPatch", (it) => {
  it.effect("makes of the old files what git made the new ones from, of all kinds of changes", () =>
    Effect.gen(function* () {
      const lines = (count: number, other: Readonly<Record<number, string>> = {}) =>
        Array.from({ length: count }, (_, index) => `${other[index + 1] ?? `line ${index + 1}`}\n`).join("")
      const odd = ['quo"te', "tab\there", "line\nbreak", "grüße 🦀", "with space", "back\\slash"]
      const before: Record<string, string | Buffer> = {
        "modified.txt": lines(60),
        "gone.txt": lines(3),
        "empty-gone": "",
        "src/renamed.txt": lines(40),
        "src/moved.txt": lines(9),
        "no-newline": "a\nb",
        "gets-newline": "a\nb",
        "windows.txt": "a\r\nb\r\nc\r\n",
        "latin.txt": Buffer.concat([
          Buffer.from(lines(9)),
          Buffer.from([0xe4, 0xff, 0x0a]),
          Buffer.from(lines(9)),
        ]),
        mode: "x\n",
        "mode-and-text": "x\n",
        ...Object.fromEntries(odd.map((name) => [`odd/${name}`, `${name}\n`])),
      }
      const { apply, at, folder, text, write } = yield* folderOf(before)
      const git = (...args: ReadonlyArray<string>) =>
        execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", ...args], { cwd: folder })
      git("init", "-q")
      git("add", "-A")
      git("commit", "-qm", "before")
      write("modified.txt", lines(60, { 3: "three", 30: "thirty\nmore", 58: "" }))
      for (const path of ["gone.txt", "empty-gone"]) rmSync(at(path))
      write("src/renamed.txt", lines(40, { 20: "twenty" }))
      mkdirSync(at("lib"))
      renameSync(at("src/renamed.txt"), at("lib/other name.txt"))
      renameSync(at("src/moved.txt"), at("lib/moved.txt"))
      write("no-newline", "a\nc")
      write("gets-newline", "a\nb\n")
      write("windows.txt", "a\r\nB\r\nc\r\n")
      write(
        "latin.txt",
        Buffer.concat([
          Buffer.from(lines(9, { 1: "one" })),
          Buffer.from([0xe4, 0xff, 0x0a]),
          Buffer.from(lines(9)),
        ]),
      )
      chmodSync(at("mode"), 0o755)
      chmodSync(at("mode-and-text"), 0o755)
      write("mode-and-text", "y\n")
      write("new/deep.txt", "new\n")
      write("new/empty", "")
      write("new/script", "#!/bin/sh\n")
      chmodSync(at("new/script"), 0o755)
      write("new/open", "no newline")
      for (const name of odd) write(`odd/${name}`, `${name}!\n`)
      git("add", "-A")
      const patch = git("diff", "--cached", "--find-renames").toString()
      const paths = git("ls-files", "-z").toString().split("\0").slice(0, -1)
      const after = paths.map((path) => [path, text(path), statSync(at(path)).mode] as const)
      git("reset", "-q", "--hard")
      const files = yield* apply(patch)
      assert.deepStrictEqual(
        paths.map((path) => [path, text(path), existsSync(at(path)) ? statSync(at(path)).mode : 0] as const),
        after,
      )
      for (const path of ["gone.txt", "empty-gone", "src/renamed.txt", "src/moved.txt"])
        assert.isFalse(existsSync(at(path)), path)
      assert.deepInclude(files, { path: "modified.txt", change: "modified", added: 4, removed: 3 })
      assert.deepInclude(files, {
        path: "lib/other name.txt",
        from: "src/renamed.txt",
        change: "renamed",
        added: 1,
        removed: 1,
      })
      assert.deepInclude(files, { path: "gone.txt", change: "deleted", added: 0, removed: 3 })
      assert.strictEqual(git("diff", "--cached", "--stat").toString(), "")
    }),
  )

  it.effect("puts a hunk where its old lines stand, if that is one place, and refuses otherwise", () =>
    Effect.gen(function* () {
      const { apply, refuse, text, write } = yield* folderOf({ a: "new\n".repeat(5) + "one\ntwo\nthree\n" })
      const patch = "--- a/a\n+++ b/a\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"
      yield* apply(patch)
      assert.strictEqual(text("a"), "new\n".repeat(5) + "one\n2\nthree\n")
      const twice = "0\none\ntwo\nthree\none\ntwo\nthree\n"
      write("a", twice)
      assert.include((yield* refuse(patch)).message, "in several other places")
      write("a", "one\ntwo!\nthree\n")
      const failure = yield* refuse(patch)
      assert.strictEqual(failure.code, "patch_does_not_apply")
      assert.include(failure.message, 'line 2 of the file is "two!", where the patch has "two".')
      write("a", "one\n")
      assert.include(
        (yield* refuse(patch)).message,
        'the file ends before line 2, where the patch has "two".',
      )
      assert.strictEqual(text("a"), "one\n")
    }),
  )

  it.effect("changes nothing where one of several files does not fit, and says of each why", () =>
    Effect.gen(function* () {
      const contents = { a: "a\n", b: "b\n", c: "c\n" }
      const { folder, refuse, text, at } = yield* folderOf(contents)
      symlinkSync("b", at("link"))
      const failure = yield* refuse(
        [
          change("a", "a", "A"),
          change("b", "x", "B"),
          change("none", "x", "y"),
          "--- /dev/null\n+++ b/c\n@@ -0,0 +1 @@\n+new\n",
          change("link", "b", "B"),
          "--- a/c\n+++ /dev/null\n@@ -1 +0,0 @@\n-c\n",
        ].join(""),
      )
      assert.strictEqual(failure.code, "patch_does_not_apply")
      for (const part of [
        "Nothing was changed.",
        'b: The hunk at line 8 of the patch does not apply: line 1 of the file is "b"',
        "none: there is no such file",
        "link: the way there goes through a link, link; name b instead.",
      ])
        assert.include(failure.message, part)
      assert.deepStrictEqual({ a: text("a"), b: text("b"), c: text("c") }, contents)
      assert.isTrue(existsSync(folder))
    }),
  )

  it.effect("does not overwrite with a new file, take half of one away, or patch one twice", () =>
    Effect.gen(function* () {
      const { refuse } = yield* folderOf({ a: "a\nb\n" })
      const made = yield* refuse("--- /dev/null\n+++ b/a\n@@ -0,0 +1 @@\n+new\n")
      assert.include(made.message, "a: something stands there already")
      const half = yield* refuse("--- a/a\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n")
      assert.include(half.message, "it holds more than the patch takes away")
      const moved = "diff --git a/a b/b\nsimilarity index 100%\nrename from a\nrename to b\n"
      for (const second of [change("a", "a", "A"), moved]) {
        const twice = yield* refuse("--- a/a\n+++ b/a\n@@ -1 +1 @@\n-a\n+A\n" + second)
        assert.include(twice.message, "the second for this file")
      }
    }),
  )

  it.effect("takes back what it wrote where a later write fails, and says what it could not", () =>
    Effect.gen(function* () {
      // A file cannot be below another: that shows only when it is written.
      const add = (path: string) => `--- /dev/null\n+++ b/${path}\n@@ -0,0 +1 @@\n+new\n`
      const patch =
        change("a", "a", "A") +
        "--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n" +
        add("b") +
        add("b/c") +
        add("d")
      const first = yield* folderOf({ a: "a\n", gone: "gone\n" })
      chmodSync(first.at("gone"), 0o751)
      const failure = yield* first.refuse(patch)
      assert.strictEqual(failure.code, "patch_failed")
      assert.include(failure.message, "what it had changed was taken back: ")
      assert.deepStrictEqual(["a", "gone", "b", "d"].map(first.text), ["a\n", "gone\n", undefined, undefined])
      assert.strictEqual(statSync(first.at("gone")).mode & 0o777, 0o751)
      let writes = 0
      const broken = yield* folderOf({ a: "a\n", gone: "gone\n" }, (files) => ({
        ...files,
        write: (path, data, mode) =>
          ++writes > 3 && path.endsWith("/a")
            ? Effect.fail(new FileError({ path, reason: "no_space" }))
            : files.write(path, data, mode),
      }))
      const left = yield* broken.refuse(patch)
      assert.include(left.message, "could not be taken back in a: ")
      assert.deepStrictEqual(["a", "gone", "b"].map(broken.text), ["A\n", "gone\n", undefined])
    }),
  )

  it.effect("swaps files that are renamed to each other", () =>
    Effect.gen(function* () {
      const { apply, text } = yield* folderOf({ a: "a\n", b: "b\n" })
      const rename = (from: string, to: string) =>
        `diff --git a/${from} b/${to}\nsimilarity index 100%\nrename from ${from}\nrename to ${to}\n`
      yield* apply(rename("a", "b") + rename("b", "a"))
      assert.deepStrictEqual([text("a"), text("b")], ["b\n", "a\n"])
      yield* apply("diff --git a/a b/c\nsimilarity index 100%\ncopy from a\ncopy to c\n")
      assert.deepStrictEqual([text("a"), text("c")], ["b\n", "b\n"])
    }),
  )

  it.effect("knows git's prefixes, also reversed, and does without them", () =>
    Effect.gen(function* () {
      const { apply, text } = yield* folderOf({ "a/x": "1\n" })
      const named = (from: string, to: string, old: number) =>
        `--- ${from}\n+++ ${to}\n@@ -1 +1 @@\n-${old}\n+${old + 1}\n`
      yield* apply(named("a/a/x", "b/a/x", 1))
      yield* apply(named("b/a/x", "a/a/x", 2))
      yield* apply(named("i/a/x", "w/a/x", 3))
      yield* apply(named("a/x", "a/x", 4))
      assert.strictEqual(text("a/x"), "5\n")
    }),
  )

  it.effect("fits a patch whose lines end in LF to a file whose lines end in CRLF", () =>
    Effect.gen(function* () {
      const { apply, text } = yield* folderOf({ a: "a\r\nb\r\n", b: "a\nb\n" })
      yield* apply("--- a/a\n+++ b/a\n@@ -1,2 +1,3 @@\n a\n-b\n+B\n+c\n")
      assert.strictEqual(text("a"), "a\r\nB\r\nc\r\n")
      yield* apply("--- a/b\r\n+++ b/b\r\n@@ -1,2 +1,2 @@\r\n a\r\n-b\r\n+B\r\n")
      assert.strictEqual(text("b"), "a\nB\n")
    }),
  )

  for (const [what, patch, problem] of [
    ["no patch at all", "hello\n", "Line 1 of the patch: a file's part begins with"],
    ["another kind of patch", "*** Begin Patch\n", "Line 1 of the patch"],
    ["nothing", "\n", "the patch is empty"],
    ["a path that leads out", change("../a", "x", "y"), 'the path "../a" is none inside the workspace'],
    [
      "an absolute path",
      "--- /etc/passwd\n+++ /etc/passwd\n@@ -1 +1 @@\n-x\n+y\n",
      '"/etc/passwd" is none inside',
    ],
    [
      "a count that is wrong",
      "--- a/a\n+++ b/a\n@@ -1,2 +1,1 @@\n-x\n+y\n",
      "Line 3 of the patch: the hunk's header counts 2 old and 1 new lines",
    ],
    [
      "more lines than are counted",
      "--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+y\n z\n",
      "the hunk's header counts",
    ],
    ["a hunk without changes", "--- a/a\n+++ b/a\n@@ -1 +1 @@\n x\n", "changes nothing"],
    ["no hunk", "--- a/a\n+++ b/a\n", "a hunk is expected"],
    ["half of the names", "--- a/a\n@@ -1 +1 @@\n-x\n+y\n", "`+++ PATH` is expected"],
    ["other names", "--- a/a\n+++ b/b\n@@ -1 +1 @@\n-x\n+y\n", "the names differ"],
    [
      "a binary file",
      "diff --git a/a b/a\nindex 1234567..89abcde 100644\nBinary files a/a and b/a differ\n",
      "binary",
    ],
    [
      "a link",
      "diff --git a/a b/a\nnew file mode 120000\nindex 0000000..89abcde\n--- /dev/null\n+++ b/a\n@@ -0,0 +1 @@\n+b\n\\ No newline at end of file\n",
      "links and submodules",
    ],
    ["text after a file's part", `${change("a", "x", "y")}some words\n`, "Line 6 of the patch"],
    ["nothing to do", "diff --git a/a b/a\nindex 1234567..89abcde 100644\n", "it changes nothing"],
  ] as const) {
    it.effect(`refuses ${what}, with the line`, () =>
      Effect.gen(function* () {
        const { refuse, text } = yield* folderOf({ a: "x\n" })
        const failure = yield* refuse(patch)
        assert.strictEqual(failure.code, "bad_patch")
        assert.include(failure.message, problem)
        assert.strictEqual(text("a"), "x\n")
      }),
    )
  }
})
