import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type { FileError } from "../../src/domain/SandboxError.ts"
import type { Sandbox } from "../../src/sandbox/Sandbox.ts"
import { Sandboxes } from "../../src/sandbox/Sandboxes.ts"
import { Assembly } from "../../src/workspace/Assembly.ts"
import { fresh, output, SharedSandbox } from "../support/SharedSandbox.ts"

const at = (path: string) => `/workspace/${path}`

const content = (sandbox: Sandbox, path: string) =>
  Effect.map(sandbox.files.read(path, 0, 1_000_000), ({ data }) => Buffer.from(data).toString())

const write = (sandbox: Sandbox, path: string, text: string) => sandbox.files.write(path, Buffer.from(text))

/** The code that a model sees. */
const code = <A>(effect: Effect.Effect<A, FileError | { readonly _tag: string }>) =>
  Effect.map(Effect.flip(effect), (error) => ("code" in error ? error.code : error._tag))

layer(SharedSandbox.layer, { excludeTestServices: true, timeout: "60 seconds" })("AgentFiles", (it) => {
  it.effect("gives back what was written, with folders made above it", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      yield* write(sandbox, at("made/deep/er/a.txt"), "grüße\n")
      assert.strictEqual(yield* content(sandbox, at("made/deep/er/a.txt")), "grüße\n")
      yield* write(sandbox, at("made/deep/er/a.txt"), "")
      assert.strictEqual(yield* content(sandbox, at("made/deep/er/a.txt")), "")
    }),
  )

  it.effect("keeps binary contents of several MB byte for byte, and reads parts of them", () =>
    Effect.gen(function* () {
      const { files } = yield* SharedSandbox
      const data = Uint8Array.from({ length: 3_000_001 }, (_, index) => (index * 31 + (index >> 9)) % 256)
      yield* files.write(at("binary"), data)
      const whole = yield* files.read(at("binary"), 0, 4_000_000)
      assert.strictEqual(whole.size, data.length)
      assert.isTrue(Buffer.from(whole.data).equals(data))
      const part = yield* files.read(at("binary"), 2_999_999, 100)
      assert.deepStrictEqual([...part.data], [...data.subarray(2_999_999)])
      assert.strictEqual((yield* files.read(at("binary"), 1, 10)).data.length, 10)
      assert.strictEqual((yield* files.read(at("binary"), 5_000_000, 10)).data.length, 0)
    }),
  )

  for (const name of [
    "with spaces ",
    "quo'te\"s",
    "-rf",
    "--help",
    "$(touch hacked)",
    "`id`",
    "semi;colon&|",
    "line\nbreak",
    "ends with a break\n",
    "*",
    "back\\slash",
    "tab\there",
    "ünï🦀",
    "..dots",
    "percent%s%d",
  ]) {
    it.effect(`takes ${JSON.stringify(name)} for a name like any other`, () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        const path = at(`odd/${name}/${name}`)
        yield* write(sandbox, path, name)
        assert.strictEqual(yield* content(sandbox, path), name)
        const { entries } = yield* sandbox.files.list(at("odd"), 2, 10)
        assert.deepStrictEqual(entries, [
          { path: `odd/${name}`, kind: "directory", size: entries[0]?.size ?? -1 },
          { path: `odd/${name}/${name}`, kind: "file", size: Buffer.byteLength(name) },
        ])
        assert.strictEqual(yield* output(sandbox, "ls -A / /workspace | grep -c hacked || true"), "0\n")
        yield* output(sandbox, "rm -rf /workspace/odd")
      }),
    )
  }

  it.effect("keeps a file's permission bits when it is replaced, and gives a new one the usual", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      yield* write(sandbox, at("script.sh"), "old")
      assert.strictEqual(yield* output(sandbox, "stat -c %a script.sh"), "644\n")
      yield* output(sandbox, "chmod 750 script.sh")
      yield* write(sandbox, at("script.sh"), "new")
      assert.strictEqual(yield* output(sandbox, "stat -c %a script.sh; cat script.sh"), "750\nnew")
    }),
  )

  it.effect(
    "replaces a file in one step: whoever has it open keeps the old contents, and no other file is left",
    () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        yield* write(sandbox, at("step/a"), "old")
        const before = yield* output(sandbox, "stat -c %i step/a")
        yield* write(sandbox, at("step/a"), "new")
        assert.notStrictEqual(yield* output(sandbox, "stat -c %i step/a"), before)
        assert.strictEqual(yield* output(sandbox, "ls -A step"), "a\n")
      }),
  )

  it.effect("follows links inside the workspace, for reads and writes", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      yield* output(
        sandbox,
        "mkdir -p in/real; echo -n old > in/real/f; ln -s real in/folder; ln -s real/f in/file",
      )
      assert.strictEqual(yield* content(sandbox, at("in/folder/f")), "old")
      yield* write(sandbox, at("in/file"), "new")
      assert.strictEqual(yield* output(sandbox, "cat in/real/f; stat -c %F in/file"), "newsymbolic link\n")
    }),
  )

  it.effect("refuses every path that leads out, also by links and dots", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      yield* output(
        sandbox,
        "mkdir -p out; ln -s /etc out/etc; ln -s /etc/passwd out/passwd; ln -s /tmp/new out/dangling; ln -s out/etc hop; ln -s ../../tmp out/up",
      )
      for (const path of [
        "/etc/passwd",
        "/workspace/../etc/passwd",
        "/workspacex/a",
        "/",
        "/home/agent/.bashrc",
        "/tmp/a",
        "/proc/self/environ",
        at("out/etc/passwd"),
        at("out/passwd"),
        at("out/dangling"),
        at("out/up/a"),
        at("hop/passwd"),
        at("out/../../tmp/a"),
      ]) {
        assert.strictEqual(yield* code(sandbox.files.read(path, 0, 10)), "path_outside_workspace", path)
        assert.strictEqual(yield* code(write(sandbox, path, "x")), "path_outside_workspace", path)
        assert.strictEqual(yield* code(sandbox.files.list(path, 1, 10)), "path_outside_workspace", path)
      }
      assert.strictEqual(yield* output(sandbox, "ls -A /tmp"), "")
    }),
  )

  it.effect("tells what is missing, a folder, a file or no regular file apart", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      yield* output(
        sandbox,
        "mkdir -p kinds/folder; echo a > kinds/file; mkfifo kinds/pipe; ln -s loop kinds/loop",
      )
      assert.strictEqual(yield* code(sandbox.files.read(at("kinds/none"), 0, 10)), "not_found")
      assert.strictEqual(yield* code(sandbox.files.list(at("kinds/none"), 1, 10)), "not_found")
      assert.strictEqual(yield* code(sandbox.files.read(at("kinds/folder"), 0, 10)), "not_a_file")
      assert.strictEqual(yield* code(sandbox.files.read(at("kinds/pipe"), 0, 10)), "not_a_file")
      assert.strictEqual(yield* code(write(sandbox, at("kinds/pipe"), "x")), "not_a_file")
      assert.strictEqual(yield* code(write(sandbox, at("kinds/folder"), "x")), "not_a_file")
      assert.strictEqual(yield* code(write(sandbox, "/workspace", "x")), "not_a_file")
      assert.strictEqual(yield* code(sandbox.files.list(at("kinds/file"), 1, 10)), "not_a_directory")
      assert.strictEqual(yield* code(write(sandbox, at("kinds/file/below"), "x")), "not_a_directory")
      assert.strictEqual(yield* content(sandbox, at("kinds/file")), "a\n")
    }),
  )

  it.effect("lists what is there by kind and size, in order, as deep as asked", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      yield* output(
        sandbox,
        "mkdir -p tree/b/c; echo 1 > tree/a; echo 22 > tree/b/d; echo 333 > tree/b/c/e; ln -s a tree/link; mkfifo tree/pipe; echo h > tree/.hidden",
      )
      const list = (depth: number) =>
        Effect.map(sandbox.files.list(at("tree"), depth, 100), ({ entries, truncated }) => {
          assert.isFalse(truncated)
          return entries.map(({ path, kind }) => `${kind} ${path}`)
        })
      const one = [
        "file tree/.hidden",
        "file tree/a",
        "directory tree/b",
        "link tree/link",
        "other tree/pipe",
      ]
      assert.deepStrictEqual(yield* list(1), one)
      assert.deepStrictEqual(yield* list(2), one.toSpliced(3, 0, "directory tree/b/c", "file tree/b/d"))
      assert.deepStrictEqual(
        yield* list(9),
        one.toSpliced(3, 0, "directory tree/b/c", "file tree/b/c/e", "file tree/b/d"),
      )
      const { entries } = yield* sandbox.files.list(at("tree/b/c"), 1, 100)
      assert.deepStrictEqual(entries, [{ path: "tree/b/c/e", kind: "file", size: 4 }])
    }),
  )

  it.effect("lists the workspace itself, an empty folder, and through a link inside it", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      yield* output(sandbox, "mkdir -p list/empty list/full; echo > list/full/f; ln -s full list/link")
      const { entries } = yield* sandbox.files.list("/workspace", 1, 100)
      assert.deepInclude(
        entries.map(({ path, kind }) => ({ path, kind })),
        { path: "list", kind: "directory" as const },
      )
      assert.deepStrictEqual((yield* sandbox.files.list(at("list/empty"), 1, 10)).entries, [])
      assert.deepStrictEqual((yield* sandbox.files.list(at("list/link"), 1, 10)).entries, [
        { path: "list/full/f", kind: "file", size: 1 },
      ])
    }),
  )

  it.effect("lists no more than the limit, and says that there is more", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      yield* output(sandbox, "mkdir many; cd many; touch $(seq 1000)")
      const some = yield* sandbox.files.list(at("many"), 1, 500)
      assert.deepStrictEqual([some.entries.length, some.truncated], [500, true])
      const all = yield* sandbox.files.list(at("many"), 1, 1000)
      assert.deepStrictEqual([all.entries.length, all.truncated], [1000, false])
    }),
  )

  it.effect("says that the workspace is full, and keeps the old contents", () =>
    Effect.gen(function* () {
      const { remove } = yield* Sandboxes
      const sandbox = yield* fresh
      yield* write(sandbox, at("kept"), "old")
      const big = Buffer.alloc(8_000_000, 1)
      yield* output(sandbox, "head -c 60000000 /dev/zero > filler")
      assert.strictEqual(yield* code(sandbox.files.write(at("kept"), big)), "workspace_full")
      assert.strictEqual(yield* code(sandbox.files.write(at("new/folder/file"), big)), "workspace_full")
      assert.strictEqual(yield* content(sandbox, at("kept")), "old")
      assert.strictEqual(yield* output(sandbox, "ls -A . new/folder | grep -c codegen-write || true"), "0\n")
      yield* output(sandbox, "rm filler")
      yield* sandbox.files.write(at("kept"), big)
      yield* remove(sandbox.id)
    }),
  )

  it.effect("says that its user may not, where the permissions say so", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      yield* output(sandbox, "mkdir locked; chmod 555 locked")
      assert.strictEqual(yield* code(write(sandbox, at("locked/new"), "x")), "permission_denied")
      yield* output(sandbox, "chmod 700 locked")
    }),
  )

  for (const name of [
    "semi;colon&|",
    "line\nbreak",
    "end with a break\n",
    "back\\slash",
    "a&b",
    "a|e;touch x;#",
  ]) {
    it.effect(`lists the folder ${JSON.stringify(name)} under its own name`, () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        yield* write(sandbox, at(`odd/${name}/file`), "x")
        const { entries } = yield* sandbox.files.list(at(`odd/${name}`), 1, 10)
        assert.deepStrictEqual(entries, [{ path: `odd/${name}/file`, kind: "file", size: 1 }])
      }),
    )
  }

  it.effect("says that its user may not read a file, where the permissions say so", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      yield* output(sandbox, "echo a > secret; chmod 000 secret")
      assert.strictEqual(yield* code(sandbox.files.read(at("secret"), 0, 10)), "permission_denied")
    }),
  )

  it.effect("are known to be as they were after a command that changed nothing, and after no other", () =>
    Effect.gen(function* () {
      const sandbox = yield* fresh
      const { isStill } = sandbox.files
      const take = Effect.map(
        sandbox.files.snapshot({ after: null, exclude: [], maxEntries: 10_000 }, 2 ** 30, () => Effect.void),
        ({ cursor }) => cursor,
      )
      const after = (line: string) => Effect.map(output(sandbox, line), () => isStill)
      for (const line of ["true", "cat kept", "echo seen; ls -la /workspace /home/agent"]) {
        yield* write(sandbox, at("kept"), "kept")
        const cursor = yield* take
        assert.isFalse((yield* after("touch there && rm there"))(cursor))
        const next = yield* take
        assert.isTrue((yield* after(line))(next), line)
        assert.isFalse(isStill(cursor))
        yield* write(sandbox, at("kept"), "again")
        assert.isFalse(isStill(next))
      }
      for (const line of ["echo a > a", "chmod 700 a", "mkdir b", "mv a b/c", "rm b/c", "echo x > ~/.x"]) {
        const cursor = yield* take
        assert.isFalse((yield* after(line))(cursor), line)
      }
      const cursor = yield* take
      const slow = yield* Effect.fork(output(sandbox, "sleep 1; echo late > late"))
      yield* Effect.sleep("200 millis")
      assert.isFalse((yield* after("true"))(cursor), "another command runs")
      yield* Fiber.join(slow)
      yield* (yield* Sandboxes).remove(sandbox.id)
    }),
  )

  it.effect(
    "finds what was written through a mapping, where times do not show it and nobody told of it",
    () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        const changes = (after: string | null) =>
          Effect.gen(function* () {
            const assembly = new Assembly(2 ** 30)
            const query = { after, exclude: [], maxEntries: 10_000 }
            const { cursor, whole } = yield* sandbox.files.snapshot(query, 2 ** 30, (pieces) =>
              Effect.sync(() => {
                for (const piece of pieces) assembly.push(piece)
              }),
            )
            return { cursor, whole, paths: assembly.changes.map(({ path }) => path) }
          })
        yield* output(sandbox, "head -c 9000 /dev/zero | tr '\\0' a | tee mapped > other; sleep 0.1")
        const { cursor } = yield* changes(null)
        const times = yield* output(sandbox, `python3 -c '${mapping}'`)
        assert.strictEqual(times.trim(), "True", "the kernel says that it did not change")
        // Of both folders the kernel had more to tell than it remembers.
        const after = yield* changes(cursor.replace(/^.*\|/, "||"))
        assert.isFalse(after.whole)
        assert.include(after.paths, "workspace/mapped")
        assert.notInclude(after.paths, "workspace/other")
      }),
  )
})

/** Reads a page before it writes there. */
const mapping = `
import mmap, os
before = os.stat("mapped").st_ctime_ns
with open("mapped", "r+b") as file, mmap.mmap(file.fileno(), 9000) as bytes:
    bytes[5000]
    bytes[5000] = 98
print(os.stat("mapped").st_ctime_ns == before)
`
