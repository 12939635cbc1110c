import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import {
  appendFileSync,
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmSync,
  type Stats,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { isSame, Stamps } from "../../src/agent/snapshot/Stamps.ts"
import { Assembly } from "../../src/workspace/Assembly.ts"
import { type Change, manifestOf } from "../../src/workspace/Manifest.ts"
import { LocalFiles } from "../support/LocalFiles.ts"
import { until } from "../support/Until.ts"

/** What an agent sends for a cursor, with how many bytes that took. */
const snapshot = (after: string | null) =>
  Effect.gen(function* () {
    const { files } = yield* LocalFiles
    const assembly = new Assembly(2 ** 30)
    let bytes = 0
    const reply = yield* files.snapshot(
      { after, exclude: ["home/.cache"], maxEntries: 1000 },
      2 ** 30,
      (pieces) =>
        Effect.sync(() => {
          for (const piece of pieces) {
            assembly.push(piece)
            bytes += piece.length
          }
        }),
    )
    assembly.take()
    return { ...reply, bytes, changes: assembly.changes as ReadonlyArray<Change> }
  })

/** Changes more than the kernel remembers, none of it to be saved. */
const overflow = (home: string) => {
  for (let index = 0; index < 12_000; index++) writeFileSync(`${home}/.cache/${index % 7}`, "")
}

/** The files are not of this moment any more: what changes from now on shows. */
const settled = (path: string) =>
  until(
    Effect.sync(() => Date.now() - lstatSync(path).ctimeMs),
    (age) => age > 50,
  )

const pathsOf = (changes: ReadonlyArray<Change>) =>
  changes.map(({ kind, path }) => `${kind} ${path}`).toSorted()

const fill = ({ root, home }: { readonly root: string; readonly home: string }) => {
  mkdirSync(`${home}/.cache`)
  mkdirSync(`${root}/deep/inner`, { recursive: true })
  mkdirSync(`${root}/gone/inner`, { recursive: true })
  for (let index = 0; index < 300; index++) writeFileSync(`${root}/deep/inner/${index}`, `file ${index}`)
  writeFileSync(`${root}/gone/inner/a`, "a")
  writeFileSync(`${root}/large`, Buffer.alloc(100_000, 1))
  symlinkSync("deep", `${root}/link`)
}

layer(LocalFiles.layer, { excludeTestServices: true })("Snapshots", (it) => {
  it.effect("are known to be the last word for as long as nothing changes", () =>
    Effect.gen(function* () {
      const { home, root, still } = yield* LocalFiles
      writeFileSync(`${root}/a`, "a")
      yield* settled(`${root}/a`)
      assert.isNull(still())
      const first = yield* snapshot(null)
      assert.strictEqual(still(), first.cursor)
      assert.strictEqual(still(), first.cursor)
      for (const file of [`${root}/a`, `${home}/b`]) {
        writeFileSync(file, "changed")
        assert.isNull(still())
        assert.isNull(still())
        const { changes, cursor } = yield* snapshot(first.cursor)
        assert.isNotEmpty(changes)
        assert.strictEqual(still(), cursor)
      }
      mkdirSync(`${home}/.cache`)
      overflow(home)
      assert.isNull(still())
      const { cursor } = yield* snapshot(first.cursor)
      assert.strictEqual(still(), cursor)
    }),
  )
})

layer(LocalFiles.layer, { excludeTestServices: true, timeout: "30 seconds" })("A snapshot", (it) => {
  it.effect(
    "of many files, of which nobody knows which changed, has the one that did, whatever its time says",
    () =>
      Effect.gen(function* () {
        const { root, home } = yield* LocalFiles
        fill({ root, home })
        yield* settled(`${root}/large`)
        const all = yield* snapshot(null)
        assert.isTrue(all.whole)
        const place = `${root}/deep/inner/7`
        const { atime, mtime } = lstatSync(place)
        writeFileSync(place, "fILE 7")
        utimesSync(place, atime, mtime)
        overflow(home)
        const one = yield* snapshot(all.cursor)
        assert.deepStrictEqual([one.whole, pathsOf(one.changes)], [false, ["file workspace/deep/inner/7"]])
        assert.isBelow(one.bytes, 300)
        yield* settled(place)
        overflow(home)
        const again = yield* snapshot(one.cursor)
        overflow(home)
        const none = yield* snapshot(again.cursor)
        assert.deepStrictEqual([none.whole, none.changes], [false, []])
      }),
  )
})

layer(LocalFiles.layer, { excludeTestServices: true, timeout: "30 seconds" })("A snapshot", (it) => {
  it.effect(
    "tells of all that is made, gone, or of another kind by now, and comes to the same as one of all",
    () =>
      Effect.gen(function* () {
        const { root, home } = yield* LocalFiles
        fill({ root, home })
        const all = yield* snapshot(null)
        rmSync(`${root}/gone`, { recursive: true })
        writeFileSync(`${root}/gone`, "a file now")
        rmSync(`${root}/link`)
        mkdirSync(`${root}/link/new`, { recursive: true })
        writeFileSync(`${root}/link/new/b`, "b")
        rmSync(`${root}/deep/inner/8`)
        renameSync(`${root}/deep/inner/9`, `${root}/deep/nine`)
        chmodSync(`${root}/deep/inner/10`, 0o755)
        chmodSync(`${root}/deep`, 0o700)
        writeFileSync(`${home}/made`, "made")
        overflow(home)
        const difference = yield* snapshot(all.cursor)
        const now = yield* snapshot(null)
        assert.deepStrictEqual([difference.whole, now.whole], [false, true])
        const sorted = (lists: ReadonlyArray<ReadonlyArray<Change>>) =>
          [...manifestOf(lists)].toSorted(([a], [b]) => (a < b ? -1 : 1))
        assert.deepStrictEqual(sorted([all.changes, difference.changes]), sorted([now.changes]))
        assert.includeMembers(pathsOf(difference.changes), [
          "directory workspace/deep",
          "file workspace/gone",
          "gone workspace/deep/inner/8",
          "gone workspace/deep/inner/9",
        ])
      }),
  )
})

layer(LocalFiles.layer, { excludeTestServices: true, timeout: "30 seconds" })("A snapshot", (it) => {
  it.effect("is of all files where the one before it is not what the node has", () =>
    Effect.gen(function* () {
      const { root, home } = yield* LocalFiles
      fill({ root, home })
      const first = yield* snapshot(null)
      appendFileSync(`${root}/deep/inner/7`, " more")
      // It may have been lost on the way to the store.
      assert.lengthOf((yield* snapshot(first.cursor)).changes, 2)
      const again = yield* snapshot(first.cursor)
      assert.deepStrictEqual(pathsOf(again.changes), [
        "file workspace/deep/inner/7",
        "gone workspace/deep/inner/7",
      ])
      overflow(home)
      const all = yield* snapshot(again.cursor)
      assert.isTrue(all.whole)
      assert.isAbove(all.changes.length, 300)
      const [workspace, files] = all.cursor.split("|")
      assert.isTrue((yield* snapshot(`${workspace}|${files}|another.3`)).whole === false, "nothing was lost")
      overflow(home)
      assert.isTrue((yield* snapshot(`x|x|another.4`)).whole)
    }),
  )

  it.effect("has what was changed under another name, and not all files", () =>
    Effect.gen(function* () {
      const { root, home } = yield* LocalFiles
      linkSync(`${root}/deep/inner/1`, `${home}/other`)
      yield* settled(`${home}/other`)
      const before = yield* snapshot(null)
      appendFileSync(`${home}/other`, " more")
      const { changes, whole } = yield* snapshot(before.cursor)
      assert.isFalse(whole)
      assert.deepStrictEqual(
        new Set(pathsOf(changes)),
        new Set(["file home/other", "file workspace/deep/inner/1", "gone home/other"]),
      )
    }),
  )
})

describe("Stamps", () => {
  const stats = { ctimeMs: 1000, ino: 5, size: 10 } as Stats

  it("do not trust what was looked at in the tick in which it changed", () => {
    for (const [time, expected] of [
      [1001, false],
      [1020, false],
      [1100, true],
    ] as const) {
      const stamps = new Stamps()
      stamps.startOver(["workspace"])
      const noted = stamps.at("workspace")
      stamps.file(noted, "a", stats, time, 0)
      assert.strictEqual(isSame(noted?.get("a"), stats), expected, `${time}`)
    }
  })

  it("are given up where there are too many, and take up again with fewer", () => {
    const stamps = new Stamps()
    stamps.startOver(["workspace"])
    const noted = stamps.at("workspace")
    for (let index = 0; index < 99_000; index++) stamps.file(noted, `${index}`, stats, 2000, 0)
    for (let index = 0; index < 50_000; index++) stamps.forget(noted, `${index}`)
    const inner = stamps.folder(noted, "folder", 0o755)
    for (let index = 0; index < 50_000; index++) stamps.file(inner, `${index}`, stats, 2000, 0)
    assert.isTrue(stamps.isWhole)
    for (let index = 0; index < 2000; index++) stamps.file(inner, `more ${index}`, stats, 2000, 0)
    assert.isFalse(stamps.isWhole)
    assert.isBelow(inner!.size, 51_500)
    stamps.startOver(["workspace"])
    stamps.file(stamps.at("workspace"), "a", stats, 2000, 0)
    assert.isTrue(stamps.isWhole)
  })
})
