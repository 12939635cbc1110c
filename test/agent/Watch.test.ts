import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { Changes } from "../../src/agent/watch/Changes.ts"
import { LocalFiles } from "../support/LocalFiles.ts"

layer(LocalFiles.layer, { excludeTestServices: true })("Watch", (it) => {
  it.effect(
    "tells what changed since a cursor, also in folders that were quickly made, moved and removed",
    () =>
      Effect.gen(function* () {
        const { files, root } = yield* LocalFiles
        const at = (path: string) => `${root}/${path}`
        mkdirSync(at("old/deep"), { recursive: true })
        writeFileSync(at("old/deep/a"), "")
        const { cursor } = yield* files.watch
        const since = (cursor: string) =>
          Effect.map(files.changes(cursor, 1000), ({ paths, ...rest }) => ({
            ...rest,
            paths: paths.toSorted(),
          }))
        assert.deepInclude(yield* since(cursor), { paths: [], overflow: false, more: false })
        mkdirSync(at("new/x/y/z"), { recursive: true })
        writeFileSync(at("new/x/y/z/f"), "")
        writeFileSync(at("old/deep/a"), "changed")
        const first = yield* since(cursor)
        assert.deepInclude(first, {
          paths: ["new", "new/x", "new/x/y", "new/x/y/z", "new/x/y/z/f", "old/deep/a"],
          overflow: false,
        })
        assert.deepInclude(yield* since(first.cursor), { paths: [] })
        writeFileSync(at("new/x/y/z/f"), "again")
        const second = yield* since(first.cursor)
        assert.deepStrictEqual(second.paths, ["new/x/y/z/f"])
        renameSync(at("new/x"), at("old/moved"))
        const third = yield* since(second.cursor)
        assert.includeMembers(third.paths, ["new/x", "old/moved", "old/moved/y/z/f"])
        writeFileSync(at("old/moved/y/z/f"), "moved")
        const fourth = yield* since(third.cursor)
        assert.deepStrictEqual(fourth.paths, ["old/moved/y/z/f"])
        rmSync(at("old"), { recursive: true })
        mkdirSync(at("old"))
        writeFileSync(at("old/b"), "")
        const fifth = yield* since(fourth.cursor)
        assert.includeMembers(fifth.paths, ["old", "old/b", "old/deep/a"])
        writeFileSync(at("old/b"), "b")
        assert.deepStrictEqual((yield* since(fifth.cursor)).paths, ["old/b"])
      }),
  )

  it.effect(
    "pages, for all who watch, and says so where it was told by another agent or has forgotten too much",
    () =>
      Effect.gen(function* () {
        const { files, root } = yield* LocalFiles
        const { cursor } = yield* files.watch
        mkdirSync(`${root}/many`)
        for (let index = 0; index < 250; index++) writeFileSync(`${root}/many/${index}`, "")
        const seen = new Set<string>()
        let page = yield* files.changes(cursor, 100)
        for (; page.more; page = yield* files.changes(page.cursor, 100))
          for (const path of page.paths) seen.add(path)
        for (const path of page.paths) seen.add(path)
        assert.strictEqual(seen.size, 251)
        for (const other of ["", "x.1", `${cursor}999999`, `${cursor.split(".")[0]}.x`]) {
          const { cursor: next, overflow } = yield* files.changes(other, 100)
          assert.isTrue(overflow)
          assert.deepInclude(yield* files.changes(next, 100), { overflow: false, paths: [] })
        }
        const other = yield* files.watch
        writeFileSync(`${root}/many/0`, "again")
        for (const cursor of [page.cursor, other.cursor]) {
          assert.deepInclude(yield* files.changes(cursor, 100), { overflow: false, paths: ["many/0"] })
        }
      }),
  )

  it.effect(
    "says that anything may have changed when the kernel's queue was too short, and goes on from there",
    () =>
      Effect.gen(function* () {
        const { files, root } = yield* LocalFiles
        const { cursor } = yield* files.watch
        // Nothing takes what the kernel has to tell while this runs.
        for (let index = 0; index < 30_000; index++) writeFileSync(`${root}/${index % 7}`, "")
        mkdirSync(`${root}/unseen`)
        const { cursor: next, overflow } = yield* files.changes(cursor, 100)
        assert.isTrue(overflow)
        writeFileSync(`${root}/unseen/a`, "")
        const { overflow: again, paths } = yield* files.changes(next, 100)
        assert.deepStrictEqual([again, paths], [false, ["unseen/a"]])
      }),
  )

  it.effect("remembers a bounded number of paths", () =>
    Effect.sync(() => {
      const changes = new Changes()
      const { cursor } = changes
      changes.add("first")
      const second = changes.cursor
      for (let index = 0; index < 50_000; index++) changes.add(`path ${index}`)
      assert.isTrue(changes.since(cursor, 10).overflow)
      const page = changes.since(second, 10)
      assert.deepStrictEqual([page.overflow, page.paths[0], page.more], [false, "path 0", true])
    }),
  )
})
