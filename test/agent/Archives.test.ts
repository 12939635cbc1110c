/** Archives against an agent's files in a folder of this machine. */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { randomBytes } from "node:crypto"
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { type ArchiveEntry, leadsInside, Meter, partsOf } from "../../src/agent/archive/Archive.ts"
import * as Tar from "../../src/agent/archive/Tar.ts"
import * as Zip from "../../src/agent/archive/Zip.ts"
import { LocalFiles } from "../support/LocalFiles.ts"

const MiB = 1024 * 1024

type Given = Partial<Omit<ArchiveEntry, "data">> & {
  readonly path: string
  readonly content?: string | Buffer
}

const entriesOf = async function* (given: Iterable<Given>): AsyncGenerator<ArchiveEntry> {
  for (const { content = "", ...entry } of given) {
    const bytes = Buffer.from(content as string)
    yield {
      kind: "file",
      target: "",
      mode: 0o644,
      modified: 1_700_000_000_000,
      size: bytes.length,
      ...entry,
      data: async function* () {
        yield bytes
      },
    }
  }
}

const whole = async (chunks: AsyncIterable<Uint8Array>) => {
  const all: Array<Uint8Array> = []
  for await (const chunk of chunks) all.push(chunk)
  return Buffer.concat(all)
}

const tarOf = (...given: ReadonlyArray<Given>) => Effect.promise(() => whole(Tar.write(entriesOf(given))))
const zipOf = (...given: ReadonlyArray<Given>) => Effect.promise(() => whole(Zip.write(entriesOf(given))))

/** Changes a header of a tar, and its checksum with it. */
const altered = (tar: Buffer, at: number, text: string) => {
  const header = Buffer.from(tar)
  header.write(text, at, "latin1")
  header.write("        ", 148)
  let sum = 0
  for (const byte of header.subarray(0, 512)) sum += byte
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148)
  return header
}

const bounds = { maxEntries: 1000, maxBytes: 16 * MiB }

/** Unpacks into a new folder; the archive comes in pieces of an odd size. */
const unpack = (archive: Buffer, more: { readonly path?: string } & Partial<typeof bounds> = {}) =>
  Effect.gen(function* () {
    const { files, root } = yield* LocalFiles
    const folder = more.path ?? mkdtempSync(join(root, "into-"))
    const pieces = Array.from({ length: Math.ceil(archive.length / 9973) }, (_, index) =>
      archive.subarray(index * 9973, (index + 1) * 9973),
    )
    const reply = yield* Effect.either(
      files.unpack({ path: folder, ...bounds, ...more }, Stream.fromIterable(pieces)),
    )
    return { folder, reply }
  })

const unpacked = (archive: Buffer) =>
  Effect.flatMap(unpack(archive), ({ folder, reply }) =>
    reply._tag === "Right" ? Effect.succeed({ folder, ...reply.right }) : Effect.die(reply.left),
  )

const refused = (archive: Buffer, more?: Partial<typeof bounds>) =>
  Effect.map(unpack(archive, more), ({ folder, reply }) => ({
    folder,
    code: reply._tag === "Left" && "code" in reply.left ? reply.left.code : "none",
  }))

layer(LocalFiles.layer, { excludeTestServices: true })("Archives", (it) => {
  for (const [format, make] of Object.entries({ tar: tarOf, zip: zipOf })) {
    it.effect(
      `makes of a ${format} what is in it: files, folders, links, permissions, times and long names`,
      () =>
        Effect.gen(function* () {
          const long = `${"long/".repeat(30)}name-${"x".repeat(120)}.txt`
          const data = randomBytes(300_000)
          const archive = yield* make(
            { path: "src", kind: "directory", mode: 0o755 },
            { path: "src/a.sh", content: "echo a\n", mode: 0o755 },
            { path: long, content: "long" },
            { path: "grüße \n.txt", content: "ü" },
            { path: "deep/er/data.bin", content: data },
            { path: "src/again", kind: "link", target: "../deep/er/data.bin" },
            { path: "empty" },
          )
          const { folder, skipped, skippedCount, ...counts } = yield* unpacked(
            format === "tar" ? gzipSync(archive) : archive,
          )
          assert.deepStrictEqual([skipped, skippedCount], [[], 0])
          assert.deepStrictEqual(counts, { files: 5, folders: 1, links: 1, bytes: 300_013 })
          assert.strictEqual(statSync(join(folder, "src/a.sh")).mode & 0o777, 0o755)
          assert.strictEqual(statSync(join(folder, "src/a.sh")).mtimeMs, 1_700_000_000_000)
          assert.strictEqual(readFileSync(join(folder, long), "utf8"), "long")
          assert.strictEqual(readFileSync(join(folder, "grüße \n.txt"), "utf8"), "ü")
          assert.isTrue(readFileSync(join(folder, "src/again")).equals(data))
          assert.strictEqual(readFileSync(join(folder, "empty"), "utf8"), "")
        }),
    )

    it.effect(
      `makes of a ${format} nothing outside of its folder, also not through links that it makes`,
      () =>
        Effect.gen(function* () {
          const { root } = yield* LocalFiles
          mkdirSync(join(root, "beside"), { recursive: true })
          const archive = yield* make(
            { path: "../escaped", content: "x" },
            { path: "/tmp/codegen-escaped", content: "x" },
            { path: "a/../../escaped", content: "x" },
            { path: "out", kind: "link", target: "../beside" },
            { path: "abs", kind: "link", target: "/etc" },
            { path: "d/up", kind: "link", target: ".." },
            { path: "x", kind: "link", target: "d/up/../beside" },
            { path: "d/up/through", content: "x" },
            { path: "self", kind: "link", target: "." },
            { path: "self/through", content: "x" },
            { path: "good", content: "good" },
          )
          const { folder, skipped, files } = yield* unpacked(archive)
          assert.deepStrictEqual(
            skipped.map(({ path, reason }) => [path, reason]),
            [
              ["../escaped", "path"],
              ["/tmp/codegen-escaped", "path"],
              ["a/../../escaped", "path"],
              ["out", "link"],
              ["abs", "link"],
              ["x", "link"],
              ["d/up/through", "in_the_way"],
              ["self/through", "in_the_way"],
            ],
          )
          assert.strictEqual(files, 1)
          assert.deepStrictEqual(readdirSync(folder).sort(), ["d", "good", "self"])
          assert.isFalse(existsSync(join(root, "escaped")) || existsSync("/tmp/codegen-escaped"))
          assert.deepStrictEqual(readdirSync(join(root, "beside")), [])
        }),
    )

    it.effect(`replaces files and links by those of a ${format}, and no folder`, () =>
      Effect.gen(function* () {
        const { root } = yield* LocalFiles
        const path = mkdtempSync(join(root, "again-"))
        writeFileSync(join(root, "target"), "kept")
        writeFileSync(join(path, "file"), "old")
        symlinkSync("../target", join(path, "link"))
        mkdirSync(join(path, "folder/in"), { recursive: true })
        const archive = yield* make(
          { path: "file", content: "new" },
          { path: "link", content: "new" },
          { path: "folder", content: "new" },
        )
        const { reply } = yield* unpack(archive, { path })
        assert.strictEqual(reply._tag === "Right" ? reply.right.skipped[0]?.reason : "", "in_the_way")
        assert.strictEqual(readFileSync(join(path, "file"), "utf8"), "new")
        assert.isTrue(lstatSync(join(path, "link")).isFile())
        assert.strictEqual(readFileSync(join(root, "target"), "utf8"), "kept")
        assert.isTrue(existsSync(join(path, "folder/in")))
      }),
    )
  }

  it.effect("makes no device, FIFO or set-user-id file, and hard links to its own files alone", () =>
    Effect.gen(function* () {
      const { root } = yield* LocalFiles
      writeFileSync(join(root, "outside"), "outside")
      const [own] = yield* Effect.all([tarOf({ path: "own", content: "own", mode: 0o4755 })])
      const blocks = (tar: Buffer) => tar.subarray(0, -1024)
      const special = altered(yield* tarOf({ path: "fifo" }), 156, "6")
      const device = altered(yield* tarOf({ path: "device" }), 156, "3")
      const same = (path: string, target: string) =>
        Effect.map(tarOf({ path }), (tar) => altered(altered(tar, 157, target), 156, "1"))
      const all = [own, special, device, yield* same("in/hard", "own"), yield* same("bad", "../outside")]
      const { folder, skipped } = yield* unpacked(Buffer.concat([...all.map(blocks), Buffer.alloc(1024)]))
      assert.deepStrictEqual(
        skipped.map(({ path, reason }) => [path, reason]),
        [
          ["fifo", "kind"],
          ["device", "kind"],
          ["bad", "link"],
        ],
      )
      assert.strictEqual(statSync(join(folder, "own")).mode & 0o7777, 0o755)
      assert.strictEqual(readFileSync(join(folder, "in/hard"), "utf8"), "own")
    }),
  )

  it.effect("ends a bomb: of zeros, of entries, of entries that share their bytes", () =>
    Effect.gen(function* () {
      const content = Buffer.alloc(3 * MiB)
      const most = { maxBytes: 2 * MiB, maxEntries: 50 }
      const tar = yield* refused(gzipSync(yield* tarOf({ path: "z", content })), most)
      assert.strictEqual(tar.code, "archive_too_large")
      const zip = yield* refused(yield* zipOf({ path: "z", content }), most)
      assert.strictEqual(zip.code, "archive_too_large")
      assert.deepStrictEqual(readdirSync(zip.folder), [])
      const many = Array.from({ length: 51 }, (_, index) => ({ path: `f${index}` }))
      assert.strictEqual((yield* refused(yield* tarOf(...many), most)).code, "too_many_files")
      assert.strictEqual((yield* refused(yield* zipOf(...many), most)).code, "too_many_files")
      // Forty entries of the list name one and the same megabyte.
      const one = yield* zipOf({ path: "one", content: Buffer.alloc(MiB) })
      const begin = one.readUInt32LE(one.length - 6)
      const entry = one.subarray(begin, one.length - 22)
      const names = Array.from({ length: 40 }, (_, index) => {
        const copy = Buffer.from(entry)
        copy.write(`o${String(index).padStart(2, "0")}`, 46)
        return copy
      })
      const end = Buffer.from(one.subarray(-22))
      end.writeUInt16LE(40, 8)
      end.writeUInt16LE(40, 10)
      end.writeUInt32LE(40 * entry.length, 12)
      const shared = Buffer.concat([one.subarray(0, begin), ...names, end])
      assert.strictEqual((yield* refused(shared)).code, "archive_too_large")
    }),
  )

  it.effect("refuses what is broken, encrypted or no archive, and leaves no half of a file", () =>
    Effect.gen(function* () {
      const tar = yield* tarOf({ path: "a", content: "a" }, { path: "b", content: Buffer.alloc(50_000, 1) })
      const zip = yield* zipOf({ path: "a", content: Buffer.alloc(50_000, 1) })
      const wrong = Buffer.from(zip)
      wrong.writeUInt32LE(1, zip.readUInt32LE(zip.length - 6) + 16)
      const broken = {
        empty: Buffer.alloc(0),
        short: Buffer.from("x"),
        text: Buffer.from("this is no archive\n".repeat(100)),
        "cut tar": tar.subarray(0, 20_000),
        "cut gzip": gzipSync(tar).subarray(0, 150),
        "gzip of nonsense": gzipSync(randomBytes(5000)),
        "broken gzip": Buffer.concat([gzipSync(tar).subarray(0, 60), randomBytes(600)]),
        "cut zip": zip.subarray(0, zip.length - 30),
        "zip with another sum": wrong,
        "zip without its list": Buffer.concat([Buffer.from("PK\x03\x04"), randomBytes(3000)]),
      }
      for (const [name, archive] of Object.entries(broken)) {
        const { code, folder } = yield* refused(archive)
        assert.strictEqual(code, "bad_archive", name)
        assert.deepStrictEqual(
          readdirSync(folder).filter((name) => name !== "a" || lstatSync(join(folder, "a")).size !== 1),
          [],
          name,
        )
      }
      const locked = Buffer.from(zip)
      locked.writeUInt16LE(0x0801, zip.readUInt32LE(zip.length - 6) + 8)
      assert.strictEqual((yield* unpacked(locked)).skipped[0]?.reason, "kind")
    }),
  )

  for (const format of ["tar.gz", "zip"] as const) {
    it.effect(
      `packs a folder as ${format}, without what is excluded, leads out or is no file, and unpacks it to the same`,
      () =>
        Effect.gen(function* () {
          const { files, root } = yield* LocalFiles
          const path = mkdtempSync(join(root, "from-"))
          mkdirSync(join(path, "src/node_modules/x"), { recursive: true })
          mkdirSync(join(path, "nothing"))
          const data = randomBytes(700_000)
          writeFileSync(join(path, "src/data"), data, { mode: 0o755 })
          writeFileSync(join(path, "src/node_modules/x/y"), "y")
          writeFileSync(Buffer.from(`${path}/odd\xff\n`, "latin1"), "odd")
          symlinkSync("src/data", join(path, "inside"))
          symlinkSync("../../etc/passwd", join(path, "outside"))
          let told: unknown
          const chunks = yield* Stream.runCollect(
            files.pack(
              { path, format, exclude: ["node_modules"], maxEntries: 100 },
              (reply) => (told = reply),
            ),
          )
          assert.deepStrictEqual(told, { files: 2, folders: 2, links: 1, bytes: 700_003, left: 1 })
          const { folder } = yield* unpacked(Buffer.concat([...chunks]))
          assert.isTrue(readFileSync(join(folder, "src/data")).equals(data))
          assert.strictEqual(statSync(join(folder, "src/data")).mode & 0o777, 0o755)
          assert.strictEqual(readlinkSync(join(folder, "inside")), "src/data")
          assert.strictEqual(readFileSync(Buffer.from(`${folder}/odd\xff\n`, "latin1"), "utf8"), "odd")
          assert.deepStrictEqual(readdirSync(join(folder, "src")), ["data"])
          assert.isTrue(statSync(join(folder, "nothing")).isDirectory())
          assert.isFalse(existsSync(join(folder, "outside")))
          const many = Stream.runDrain(files.pack({ path, format, exclude: [], maxEntries: 3 }, () => {}))
          assert.strictEqual((yield* Effect.flip(many)).message, `${path}: there are too many files.`)
        }),
    )
  }
})

describe("Archive", () => {
  it("knows paths that stay below", () => {
    for (const path of ["a", "./a/./b", "a//b", "..a", "a/"]) assert.isDefined(partsOf(path), path)
    for (const path of [
      "/a",
      "..",
      "a/..",
      "a/../b",
      "a\0b",
      "x".repeat(256),
      "a/".repeat(101),
      "a/".repeat(3000),
    ])
      assert.isUndefined(partsOf(path), path.slice(0, 20))
  })

  it("knows links that stay below", () => {
    for (const [path, target] of [
      ["a", "b"],
      ["a/b", "../c"],
      ["a/b/c", "../../d/e"],
      ["a/b", ".."],
      ["a", "."],
    ] as const)
      assert.isTrue(leadsInside(path, target), `${path} → ${target}`)
    for (const [path, target] of [
      ["a", ".."],
      ["a", "/b"],
      ["a", ""],
      ["a/b", "../.."],
      ["a/b", "../../c"],
      ["a", "b/../c"],
      ["a/b/c", "./../x/../.."],
    ] as const)
      assert.isFalse(leadsInside(path, target), `${path} → ${target}`)
  })

  it("reads additions of GNU to tar, and refuses those that are too long", async () => {
    const long = `${"g".repeat(60)}/`.repeat(3)
    const name = await whole(Tar.write(entriesOf([{ path: "././@LongLink", content: `${long}x\0` }])))
    const file = await whole(Tar.write(entriesOf([{ path: "cut", content: "c" }])))
    const archive = Buffer.concat([altered(name, 156, "L").subarray(0, -1024), file])
    const paths: Array<string> = []
    const read = async (bytes: Buffer) => {
      for await (const { path } of Tar.read(entriesIn(bytes))) paths.push(path)
    }
    await read(archive)
    assert.deepStrictEqual(paths, [`${long}x`])
    const tooLong = altered(
      await whole(Tar.write(entriesOf([{ path: "l", content: "x".repeat(70_000) }]))),
      156,
      "x",
    )
    assert.strictEqual(await read(tooLong).catch((error: Error) => error.message), "bad_archive")
  })

  it("counts no more than there may be", () => {
    const meter = new Meter({ maxEntries: 1, maxBytes: 10 })
    meter.entry()
    meter.bytes(10)
    assert.throws(() => meter.entry(), "too_many")
    assert.throws(() => meter.bytes(1), "too_much")
    const bomb = new Meter({ maxEntries: 1, maxBytes: 1024 * MiB })
    bomb.packed = 400_000
    bomb.bytes(64 * MiB)
    assert.throws(() => bomb.bytes(16 * MiB), "too_much")
  })
})

const entriesIn = async function* (bytes: Buffer) {
  yield bytes
}
