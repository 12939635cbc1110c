/** Packs of which little is wanted, in both stores, with real folders and a real Postgres. */
import { SqlClient } from "@effect/sql"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import { copyFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { SessionRows } from "../../src/session/SessionRows.ts"
import { Checkpoints } from "../../src/workspace/Checkpoints.ts"
import * as Compaction from "../../src/workspace/Compaction.ts"
import { collect } from "../../src/workspace/Garbage.ts"
import { PackStore } from "../../src/workspace/PackStore.ts"
import * as FakeSandbox from "../support/FakeSandbox.ts"
import { LocalFiles } from "../support/LocalFiles.ts"
import {
  assertHolds,
  contentsOf,
  principal,
  restored,
  session,
  stores,
  template,
} from "../support/SavedSession.ts"
import * as TestNode from "../support/TestNode.ts"

/** All that is kept, and what of it is wanted, in bytes; the packs' bytes as the store itself has them. */
const sizes = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const store = yield* PackStore
  const packs = yield* sql<{ id: string }>`SELECT id FROM pack`
  const kept = yield* Effect.forEach(packs, ({ id }) => store.get(id))
  const [row] = yield* sql<{ wanted: number }>`SELECT coalesce(sum(stored), 0)::int AS wanted FROM piece`
  return { kept: kept.reduce((sum, data) => sum + (data?.length ?? 0), 0), wanted: row!.wanted }
})

/** As after the times of history and grace, again and again. */
const collectAll = Effect.gen(function* () {
  const settings = TestNode.settings({ GARBAGE_GRACE: "1 millis", CHECKPOINT_HISTORY: "1 millis" })
  for (let round = 0; round < 8; round++)
    yield* Effect.zipRight(Effect.provide(collect, settings), Effect.sleep(5))
})

/** Leaves a session with a pack of 40 pieces, of which 4 are wanted, and that nobody has looked at since. */
const sparse = Effect.gen(function* () {
  const files = yield* LocalFiles
  const rows = yield* SessionRows
  const { compact } = yield* Checkpoints
  const made = yield* session
  const at = (index: number) => join(files.root, String(index))
  for (let index = 0; index < 40; index++) writeFileSync(at(index), randomBytes(10_000))
  const first = (yield* made.save(files))!
  for (let index = 4; index < 40; index++) rmSync(at(index))
  yield* made.save(files)
  // Two bases on, what only the first one named is wanted no more.
  const bring = Effect.gen(function* () {
    const next = (yield* compact(principal, made.id, made.place.current.number))!
    yield* rows.commit(made.id, 1, next)
    made.place.current = { ...made.place.current, number: next.number, base: next.base }
  })
  yield* bring
  yield* bring
  return { ...made, files, at, pack: first.places[0]!.pack, pieces: first.places.length }
})

for (const [where, services] of Object.entries(stores)) {
  layer(services, { excludeTestServices: true, timeout: "60 seconds" })(`Packs ${where}`, (it) => {
    it.scoped("take no more than twice what is wanted of them, after many edits, and it is all there", () =>
      Effect.gen(function* () {
        const { id, files, at, save, place } = yield* sparse
        for (let edit = 0; edit < 30; edit++) {
          for (const index of [0, 50, 51]) writeFileSync(at(index), randomBytes(10_000))
          yield* save(files)
        }
        const { compact } = yield* Checkpoints
        const rows = yield* SessionRows
        for (let round = 0; round < 2; round++) {
          const next = (yield* compact(principal, id, place.current.number))!
          yield* rows.commit(id, 1, next)
          place.current = { ...place.current, number: next.number, base: next.base }
        }
        const before = yield* sizes
        yield* collectAll
        const after = yield* sizes
        assert.isAbove(before.kept, 10 * after.wanted)
        assert.strictEqual(after.wanted, 6 * 10_000)
        assert.isAtMost(after.kept, 2 * after.wanted)
        assertHolds((yield* restored(id, place.current.number)).holds, contentsOf(files.root))
      }).pipe(Effect.provide(LocalFiles.layer)),
    )

    it.scoped("lose nothing of a save that names what is moved while it is made", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const { id, files, at, place, pack } = yield* sparse
        const rows = yield* SessionRows
        const checkpoints = yield* Checkpoints
        const sandbox = FakeSandbox.make({ files: files.files })
        const prepare = Effect.suspend(() => checkpoints.save(principal, sandbox, template, place.current))
        // It names what is there already, and keeps nothing.
        copyFileSync(at(0), at(60))
        copyFileSync(at(1), at(61))
        const named = yield* prepare
        assert.lengthOf(named.checkpoint!.places, 0)
        yield* collectAll
        assert.lengthOf(yield* sql`SELECT 1 FROM pack WHERE id = ${pack}`, 0, "what it named was moved")
        yield* rows.commit(id, 1, named.checkpoint!)
        place.current = named.place
        // One that keeps something, and is frozen until nobody believes in it any more, is refused.
        writeFileSync(at(62), randomBytes(20_000))
        const late = yield* prepare
        assert.lengthOf(late.checkpoint!.places, 1)
        yield* collectAll
        yield* Effect.flip(rows.commit(id, 1, late.checkpoint!))
        const again = yield* prepare
        yield* rows.commit(id, 1, again.checkpoint!)
        yield* collectAll
        const { number } = yield* checkpoints.newest(id)
        assertHolds((yield* restored(id, number)).holds, contentsOf(files.root))
      }).pipe(Effect.provide(LocalFiles.layer)),
    )

    it.scoped("stay right where the node that moves them is frozen, and where two do it at once", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const { id, files, pack, place } = yield* sparse
        const whole = Effect.gen(function* () {
          assertHolds((yield* restored(id, place.current.number)).holds, contentsOf(files.root))
        })
        // Both have read which packs there are.
        const [one, two] = yield* Effect.all([Compaction.move([pack]), Compaction.move([pack])], {
          concurrency: "unbounded",
        })
        assert.isAtLeast(one + two, 4)
        yield* collectAll
        yield* whole
        const [{ pack: now } = { pack: "" }] = yield* sql<{ pack: string }>`
          SELECT DISTINCT pack FROM piece_use JOIN piece USING (principal, hash)
          WHERE session_id = ${id} AND pack <> ${pack}`
        // Frozen after it wrote its pack, and before it says so: that is gone by then.
        const store = yield* PackStore
        const context = yield* Effect.context<SqlClient.SqlClient | PackStore>()
        const thawed = Effect.zipRight(Effect.sleep(5), collectAll).pipe(
          Effect.orDie,
          Effect.provide(context),
        )
        const frozen: PackStore["Type"] = {
          ...store,
          put: (id, data) => Effect.zipRight(store.put(id, data), thawed),
        }
        const late = yield* Effect.exit(Effect.provideService(Compaction.move([now]), PackStore, frozen))
        assert.strictEqual(late._tag, "Failure")
        yield* whole
        yield* collectAll
        yield* whole
        const left = yield* sizes
        assert.isAtMost(left.kept, 2 * left.wanted)
      }).pipe(Effect.provide(LocalFiles.layer)),
    )

    it.scoped("are condemned before they are deleted, and taken back by who names them meanwhile", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const { id, files, at, place } = yield* sparse
        const rows = yield* SessionRows
        const { save } = yield* Checkpoints
        writeFileSync(at(70), randomBytes(40_000))
        const sandbox = FakeSandbox.make({ files: files.files })
        const { checkpoint } = yield* save(principal, sandbox, template, place.current)
        const pack = checkpoint!.places[0]!.pack
        yield* sql`UPDATE pack SET created_at = now() - interval '1 day' WHERE id = ${pack}`
        const condemned = Effect.map(
          sql<{ is: boolean }>`SELECT condemned_at IS NOT NULL AS is FROM pack WHERE id = ${pack}`,
          ([row]) => row?.is,
        )
        const later = Effect.provide(collect, TestNode.settings({ GARBAGE_GRACE: "1 hour" }))
        yield* later
        yield* later
        assert.isTrue(yield* condemned)
        yield* rows.commit(id, 1, checkpoint!)
        yield* sql`UPDATE pack SET condemned_at = now() - interval '1 day' WHERE id = ${pack}`
        yield* later
        assert.isFalse(yield* condemned)
        assertHolds((yield* restored(id, checkpoint!.number)).holds, contentsOf(files.root))
      }).pipe(Effect.provide(LocalFiles.layer)),
    )
  })
}
