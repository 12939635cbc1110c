import { assert, layer } from "@effect/vitest"
import { Chunk, Deferred, Effect, Fiber, Stream } from "effect"
import koffi from "koffi"
import { createHash } from "node:crypto"
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Channels } from "../../src/agent/Channels.ts"
import { Files } from "../../src/agent/files/Files.ts"
import type { FileError } from "../../src/domain/SandboxError.ts"
import { LocalFiles } from "../support/LocalFiles.ts"

const mkfifo = koffi.load("libc.so.6").func("int mkfifo(const char *, uint)")

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

type Refused = FileError | { readonly _tag: string }

/** Why an operation was refused. */
const reason = <A>(effect: Effect.Effect<A, Refused>) =>
  Effect.map(Effect.flip(effect), (error) => ("reason" in error ? error.reason : error._tag))

const text = (data: Uint8Array) => Buffer.from(data).toString()

/** Waits, for a second at most, until something holds. */
const until = (holds: () => boolean) =>
  Effect.gen(function* () {
    for (let round = 0; round < 200 && !holds(); round++) yield* Effect.sleep(5)
    assert.isTrue(holds())
  })

const setUp = Effect.map(LocalFiles, ({ files, root }) => ({
  files,
  root,
  at: (path: string) => `${root}/${path}`,
}))

layer(LocalFiles.layer, { excludeTestServices: true })("Files", (it) => {
  it.effect("gives back what was written, with folders made above it", () =>
    Effect.gen(function* () {
      const { files, at } = yield* setUp
      yield* files.write(at("made/deep/er/a.txt"), Buffer.from("grüße\n"))
      const whole = yield* files.read(at("made/deep/er/a.txt"), 0, 100)
      assert.deepStrictEqual([text(whole.data), whole.size], ["grüße\n", 8])
      assert.strictEqual(text((yield* files.read(at("made/deep/er/a.txt"), 2, 2)).data), "ü")
      assert.strictEqual((yield* files.read(at("made/deep/er/a.txt"), 50, 2)).data.length, 0)
      yield* files.write(at("made/deep/er/a.txt"), Buffer.alloc(0))
      assert.strictEqual((yield* files.read(at("made/deep/er/a.txt"), 0, 100)).size, 0)
    }),
  )

  it.effect("replaces a file in one step and keeps its permission bits; a new one has the usual", () =>
    Effect.gen(function* () {
      const { files, at } = yield* setUp
      yield* files.write(at("step/script"), Buffer.from("old"))
      assert.strictEqual(statSync(at("step/script")).mode & 0o777, 0o666 & ~process.umask())
      chmodSync(at("step/script"), 0o751)
      const before = statSync(at("step/script"))
      yield* files.write(at("step/script"), Buffer.from("new"))
      const after = statSync(at("step/script"))
      assert.notStrictEqual(after.ino, before.ino)
      assert.strictEqual(after.mode, before.mode)
      assert.deepStrictEqual(readdirSync(at("step")), ["script"])
    }),
  )

  for (const [how, source] of [
    ["fails", Stream.concat(Stream.make(Buffer.alloc(600_000, "n")), Stream.fail("broken"))],
    ["ends early", Stream.make(Buffer.alloc(600_000, "n"))],
    ["goes on too long", Stream.make(Buffer.alloc(1_200_000, "n"))],
  ] as const) {
    it.effect(`leaves the old file, and no other, where what is to be written ${how}`, () =>
      Effect.gen(function* () {
        const { files, at } = yield* setUp
        mkdirSync(at("aborted"), { recursive: true })
        writeFileSync(at("aborted/a"), "old")
        yield* Effect.flip(files.writeStream(at("aborted/a"), 1_000_000, source))
        yield* until(() => readdirSync(at("aborted")).length === 1)
        assert.strictEqual(readFileSync(at("aborted/a"), "utf8"), "old")
      }),
    )
  }

  it.effect("leaves the old file, and no other, where the writer goes away half-way", () =>
    Effect.gen(function* () {
      const { files, at } = yield* setUp
      mkdirSync(at("cancelled"))
      writeFileSync(at("cancelled/a"), "old")
      const begun = yield* Deferred.make<void>()
      const source = Stream.concat(
        Stream.make(Buffer.alloc(100_000)),
        Stream.fromEffect(Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never)),
      )
      const writer = yield* Effect.fork(files.writeStream(at("cancelled/a"), 1_000_000, source))
      yield* Deferred.await(begun)
      yield* until(() =>
        readdirSync(at("cancelled")).some((name) => statSync(at(`cancelled/${name}`)).size === 100_000),
      )
      yield* Fiber.interrupt(writer)
      yield* until(() => readdirSync(at("cancelled")).length === 1)
      assert.strictEqual(readFileSync(at("cancelled/a"), "utf8"), "old")
    }),
  )

  it.effect("adds to the end of a file, and makes one that is not there", () =>
    Effect.gen(function* () {
      const { files, at } = yield* setUp
      yield* files.append(at("log/a"), Buffer.from("one\n"))
      yield* files.append(at("log/a"), Buffer.from("two\n"))
      assert.strictEqual(readFileSync(at("log/a"), "utf8"), "one\ntwo\n")
    }),
  )

  it.effect(
    "carries 100 MB both ways with little memory",
    () =>
      Effect.gen(function* () {
        const { files, at } = yield* setUp
        const size = 100 * 1024 * 1024
        const written = createHash("md5")
        const read = createHash("md5")
        const memory = () => {
          collectGarbage()
          const { arrayBuffers, heapUsed } = process.memoryUsage()
          return arrayBuffers + heapUsed
        }
        const before = memory()
        let peak = before
        let looks = 0
        const look = Effect.sync(() => {
          if (looks++ % 100 === 0) peak = Math.max(peak, memory())
        })
        const source = Stream.range(1, size / 65_536).pipe(
          Stream.mapEffect((index) => {
            const piece = Buffer.alloc(65_536, index.toString())
            written.update(piece)
            return Effect.as(look, piece)
          }),
          Stream.rechunk(1),
        )
        yield* files.writeStream(at("large"), size, source)
        assert.strictEqual(statSync(at("large")).size, size)
        let sum = 0
        yield* Stream.runForEach(files.stream(at("large"), 0, size), (chunk) => {
          sum += chunk.length
          read.update(chunk)
          return look
        })
        assert.deepStrictEqual([sum, read.digest("hex")], [size, written.digest("hex")])
        assert.isBelow((peak - before) / 1024 / 1024, 30)
        yield* files.remove(at("large"), false)
      }),
    60_000,
  )

  it.effect("holds the rest of a file back from a slow reader, and serves others meanwhile", () =>
    Effect.gen(function* () {
      const { files, at } = yield* setUp
      const data = Buffer.from(Uint32Array.from({ length: 2_000_000 }, (_, index) => index).buffer)
      writeFileSync(at("slow"), data)
      writeFileSync(at("quick"), "q")
      const slow = files.stream(at("slow"), 0, data.length).pipe(
        Stream.tap((chunk) => (chunk.length > 60_000 ? Effect.sleep(5) : Effect.void)),
        Stream.runCollect,
      )
      const [chunks] = yield* Effect.all([slow, Effect.repeatN(files.read(at("quick"), 0, 1), 50)], {
        concurrency: 2,
      })
      assert.isTrue(Buffer.concat(Chunk.toReadonlyArray(chunks)).equals(data))
      const first = yield* Stream.runCollect(Stream.take(files.stream(at("slow"), 0, 8_000_000), 1))
      assert.strictEqual(Chunk.size(first), 1)
    }),
  )

  it.effect("sends a file's own bytes again after the link broke", () =>
    Effect.gen(function* () {
      const { at, root } = yield* setUp
      const data = Buffer.from(Uint32Array.from({ length: 500_000 }, (_, index) => index).buffer)
      writeFileSync(at("again"), data)
      let broken = false
      const carry = (to: () => Channels) => (pieces: ReadonlyArray<Uint8Array>) => {
        if (!broken) setImmediate(() => pieces.forEach((piece) => to().receive(piece)))
      }
      const agent = new Channels({ send: carry(() => node), message: () => {}, follows: true })
      const files = new Files(agent, yield* LocalFiles.processes, { root, home: yield* LocalFiles.home })
      const node: Channels = new Channels({ send: carry(() => agent), message: () => {}, follows: false })
      const attach = Effect.promise(async () => {
        node.attach(1)
        agent.attach(1)
        await new Promise((resolve) => setImmediate(resolve))
      })
      yield* attach
      const chunks: Array<Buffer> = []
      let ended = false
      const channel = node.open(7, {
        data: (chunk) => {
          if (chunks.length === 1) broken = true
          chunks.push(Buffer.from(chunk))
          channel.consume(chunk.length)
        },
        end: () => (ended = true),
      })
      const request = { op: "read", path: at("again"), offset: 0, length: data.length } as const
      const answer = files.handle({ type: "file", id: 1, channel: 7, request })
      yield* until(() => broken)
      // What the agent sends now, until the window is full, is lost.
      yield* Effect.sleep(50)
      broken = false
      yield* attach
      yield* until(() => ended)
      yield* Effect.promise(() => answer)
      assert.isTrue(Buffer.concat(chunks).equals(data))
    }),
  )

  it.effect("reads by lines, and counts them", () =>
    Effect.gen(function* () {
      const { files, at } = yield* setUp
      const lines = Array.from({ length: 30_000 }, (_, index) => `line ${index + 1}\n`)
      writeFileSync(at("lines"), lines.join("") + "open")
      const some = yield* files.readLines(at("lines"), 20_001, 3, 10_000)
      assert.strictEqual(text(some.data), lines.slice(20_000, 20_003).join(""))
      assert.deepInclude(some, { lines: 3, cut: false, totalLines: 30_001 })
      assert.strictEqual(some.offset, lines.slice(0, 20_000).join("").length)
      const last = yield* files.readLines(at("lines"), 30_000, 10, 10_000)
      assert.strictEqual(text(last.data), "line 30000\nopen")
      assert.deepInclude(last, { lines: 2, cut: false, totalLines: 30_001 })
      const cut = yield* files.readLines(at("lines"), 1, 1000, 10)
      assert.strictEqual(text(cut.data), "line 1\nlin")
      assert.deepInclude(cut, { lines: 2, cut: true, offset: 0, totalLines: 30_001 })
      const beyond = yield* files.readLines(at("lines"), 40_000, 1, 10)
      assert.deepInclude(beyond, { lines: 0, bytes: 0, totalLines: 30_001 })
      writeFileSync(at("lines"), "")
      assert.deepInclude(yield* files.readLines(at("lines"), 1, 5, 10), {
        lines: 0,
        totalLines: 0,
        cut: false,
      })
    }),
  )

  it.effect("refuses every path that leads out, also by links and dots", () =>
    Effect.gen(function* () {
      const { files, at, root } = yield* setUp
      mkdirSync(at("out"))
      symlinkSync("/etc", at("out/etc"))
      symlinkSync("/etc/passwd", at("out/passwd"))
      symlinkSync("/tmp/new", at("out/dangling"))
      symlinkSync("../../..", at("out/up"))
      symlinkSync("out/etc", at("hop"))
      symlinkSync("/proc/self/fd/0", at("out/magic"))
      symlinkSync("/proc/self/cwd", at("out/cwd"))
      for (const path of [
        "/etc/passwd",
        `${root}/../../etc/passwd`,
        `${root}x/a`,
        "/",
        at("out/etc/passwd"),
        at("out/etc/none"),
        at("out/passwd"),
        at("out/dangling"),
        at("out/up/a"),
        at("hop/passwd"),
        at("out/../../a"),
        at("out/magic"),
        at("out/cwd/a"),
      ]) {
        const data = Buffer.from("x")
        const operations: ReadonlyArray<Effect.Effect<unknown, Refused>> = [
          files.read(path, 0, 10),
          files.write(path, data),
          files.append(path, data),
          files.list(path, 1, 10),
          files.stat(path),
          files.makeFolder(path),
          files.glob(path, "*", 10),
        ]
        for (const operation of operations) {
          assert.strictEqual(yield* reason(operation), "outside", path)
        }
      }
      assert.strictEqual(yield* reason(files.copy(at("out"), "/tmp/copy", false)), "outside")
      assert.strictEqual(yield* reason(files.move("/etc/passwd", at("stolen"), false)), "outside")
      assert.strictEqual(yield* reason(files.remove(at("out/etc/passwd"), true)), "outside")
      yield* files.remove(at("out/etc"), true)
      assert.isTrue(statSync("/etc/passwd").isFile())
    }),
  )

  it.effect("follows links that stay inside", () =>
    Effect.gen(function* () {
      const { files, at, root } = yield* setUp
      mkdirSync(at("in/real"), { recursive: true })
      writeFileSync(at("in/real/f"), "old")
      symlinkSync("real", at("in/folder"))
      symlinkSync(`${root}/in/real/f`, at("in/file"))
      symlinkSync("../in/./real/../folder/new", at("in/dangling"))
      assert.strictEqual(text((yield* files.read(at("in/folder/f"), 0, 9)).data), "old")
      yield* files.write(at("in/file"), Buffer.from("new"))
      yield* files.write(at("in/dangling"), Buffer.from("made"))
      assert.strictEqual(readFileSync(at("in/real/f"), "utf8"), "new")
      assert.strictEqual(readFileSync(at("in/real/new"), "utf8"), "made")
      assert.isTrue(lstatSync(at("in/file")).isSymbolicLink())
      const name = root.slice(root.lastIndexOf("/") + 1)
      assert.strictEqual((yield* files.stat(`${root}/../${name}/in/folder`)).path, "in/real")
    }),
  )

  it.effect("tells what is missing, a folder, a file or no regular file apart, and waits for no FIFO", () =>
    Effect.gen(function* () {
      const { files, at, root } = yield* setUp
      mkdirSync(at("kinds/folder"), { recursive: true })
      writeFileSync(at("kinds/file"), "a\n")
      assert.strictEqual(mkfifo(at("kinds/pipe"), 0o666), 0)
      symlinkSync("loop", at("kinds/loop"))
      const data = Buffer.from("x")
      const refused: ReadonlyArray<readonly [string, Effect.Effect<unknown, Refused>]> = [
        ["missing", files.read(at("kinds/none"), 0, 1)],
        ["missing", files.list(at("kinds/none"), 1, 1)],
        ["missing", files.read(at("kinds/loop"), 0, 1)],
        ["missing", files.remove(at("kinds/none"), true)],
        ["not_a_file", files.read(at("kinds/folder"), 0, 1)],
        ["not_a_file", files.read(at("kinds/pipe"), 0, 1)],
        ["not_a_file", files.write(at("kinds/pipe"), data)],
        ["not_a_file", files.append(at("kinds/pipe"), data)],
        ["not_a_file", files.copy(at("kinds/pipe"), at("kinds/copy"), false)],
        ["not_a_file", files.write(at("kinds/folder"), data)],
        ["not_a_file", files.write(root, data)],
        ["not_a_directory", files.list(at("kinds/file"), 1, 1)],
        ["not_a_directory", files.write(at("kinds/file/below"), data)],
        ["not_a_directory", files.read(at("kinds/file/below"), 0, 1)],
      ]
      for (const [expected, operation] of refused) {
        assert.strictEqual(yield* reason(operation), expected)
      }
      assert.strictEqual((yield* files.stat(at("kinds/pipe"))).kind, "other")
      assert.strictEqual((yield* files.stat(root)).kind, "directory")
    }),
  )

  it.effect("lists what is there by kind and size, in order of whole paths, as deep as asked", () =>
    Effect.gen(function* () {
      const { files, at } = yield* setUp
      mkdirSync(at("tree/b/c"), { recursive: true })
      for (const name of ["a", "b.txt", "b/d", "b/c/e", "b-", ".hidden"])
        writeFileSync(at(`tree/${name}`), name)
      symlinkSync("a", at("tree/link"))
      mkfifo(at("tree/pipe"), 0o666)
      const list = (depth: number, limit = 100) =>
        Effect.map(files.list(at("tree"), depth, limit), ({ entries, truncated }) => [
          truncated,
          ...entries.map(({ path, kind }) => `${kind} ${path}`),
        ])
      const all = [
        "file tree/.hidden",
        "file tree/a",
        "directory tree/b",
        "file tree/b-",
        "file tree/b.txt",
        "directory tree/b/c",
        "file tree/b/c/e",
        "file tree/b/d",
        "link tree/link",
        "other tree/pipe",
      ]
      assert.deepStrictEqual(yield* list(9), [false, ...all])
      assert.deepStrictEqual(yield* list(1), [false, ...all.filter((line) => !line.includes("b/"))])
      assert.deepStrictEqual(yield* list(2), [false, ...all.filter((line) => !line.includes("c/"))])
      for (const limit of [1, 5, 6, 7, 9]) {
        assert.deepStrictEqual(yield* list(9, limit), [true, ...all.slice(0, limit)])
      }
      assert.deepStrictEqual(yield* list(9, 10), [false, ...all])
      const { entries } = yield* files.list(at("tree/b/c"), 1, 9)
      assert.deepStrictEqual(entries, [{ path: "tree/b/c/e", kind: "file", size: 5 }])
    }),
  )

  it.effect("keeps names that are no text apart, and takes them back", () =>
    Effect.gen(function* () {
      const { files, at } = yield* setUp
      mkdirSync(at("bytes"))
      const names = [
        Buffer.from([0xff]),
        Buffer.from([0xe4, 0x62]),
        Buffer.from("\uf7e4b"),
        Buffer.from("back\\slash\n"),
      ]
      for (const name of names) writeFileSync(Buffer.concat([Buffer.from(at("bytes/")), name]), name)
      const { entries } = yield* files.list(at("bytes"), 1, 9)
      assert.strictEqual(entries.length, names.length)
      for (const { path } of entries) {
        assert.notMatch(path, /\p{Surrogate}|\ufffd/u)
        const { data } = yield* files.read(at(path), 0, 20)
        const name = Buffer.concat([Buffer.from(at("bytes/")), data])
        assert.isTrue(Buffer.from(data).equals(readFileSync(name)))
      }
      yield* files.write(at("bytes/\uf7ff"), Buffer.from("again"))
      yield* files.copy(at("bytes"), at("bytes2"), false)
      assert.strictEqual(readdirSync(at("bytes2")).length, names.length)
      assert.strictEqual(
        readFileSync(Buffer.concat([Buffer.from(at("bytes2/")), names[0]!]), "utf8"),
        "again",
      )
      yield* files.remove(at("bytes"), true)
      assert.strictEqual(yield* reason(files.stat(at("bytes"))), "missing")
    }),
  )

  it.effect("makes folders, moves, copies and removes", () =>
    Effect.gen(function* () {
      const { files, at, root } = yield* setUp
      yield* files.makeFolder(at("work/a/b"))
      yield* files.makeFolder(at("work/a/b"))
      yield* files.write(at("work/a/b/f"), Buffer.from("f"))
      chmodSync(at("work/a/b/f"), 0o750)
      symlinkSync("b/f", at("work/a/link"))
      symlinkSync("/etc/passwd", at("work/a/outward"))
      yield* files.copy(at("work/a"), at("work/new/copy"), false)
      assert.strictEqual(statSync(at("work/new/copy/b/f")).mode & 0o777, 0o750)
      assert.strictEqual(readlinkSync(at("work/new/copy/outward")), "/etc/passwd")
      yield* files.move(at("work/a/b/f"), at("work/moved"), false)
      assert.strictEqual(readFileSync(at("work/moved"), "utf8"), "f")
      yield* files.move(at("work/a/outward"), at("work/outward"), false)
      yield* files.copy(at("work/new/copy/b/f"), at("work/moved"), true)
      yield* files.remove(at("work/new"), true)
      yield* files.remove(at("work/a/link"), false)
      assert.deepStrictEqual(readdirSync(at("work")).sort(), ["a", "moved", "outward"])
      for (const operation of [
        files.move(at("work/moved"), at("work/a"), true),
        files.copy(at("work/moved"), at("work/outward"), false),
        files.copy(at("work"), at("work/a/inside"), false),
        files.move(at("work"), at("work/inside"), false),
        files.remove(at("work"), false),
        files.remove(root, true),
        files.move(root, at("work/x"), false),
      ]) {
        assert.strictEqual((yield* Effect.flip(operation))._tag, "FileError")
      }
      assert.deepStrictEqual(readdirSync(at("work")).sort(), ["a", "moved", "outward"])
    }),
  )
})
