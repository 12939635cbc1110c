/** Checkpoints of an agent's files, with real folders and a real Postgres, and no container between them. */
import { SqlClient } from "@effect/sql"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { randomBytes } from "node:crypto"
import {
  appendFileSync,
  chmodSync,
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs"
import { join } from "node:path"
import type { SessionId } from "../../src/domain/Identity.ts"
import { SessionRows } from "../../src/session/SessionRows.ts"
import { sweep } from "../../src/session/Sweeper.ts"
import type { Prepared } from "../../src/workspace/CheckpointRows.ts"
import { CheckpointDamaged, Checkpoints } from "../../src/workspace/Checkpoints.ts"
import * as DirectoryPacks from "../../src/workspace/DirectoryPacks.ts"
import { collect } from "../../src/workspace/Garbage.ts"
import { PackStore } from "../../src/workspace/PackStore.ts"
import * as PostgresPacks from "../../src/workspace/PostgresPacks.ts"
import {
  assertHolds,
  contentsOf,
  folder,
  nothing,
  principal,
  restored,
  session,
  stores,
  template,
} from "../support/SavedSession.ts"
import * as FakeSandbox from "../support/FakeSandbox.ts"
import { LocalFiles } from "../support/LocalFiles.ts"
import * as SessionTable from "../support/SessionTable.ts"
import * as TestNode from "../support/TestNode.ts"

/** A file that begins and ends with bytes, and has a hole of a gigabyte between. */
const writeSparse = (path: string) => {
  const file = openSync(path, "w")
  writeSync(file, "begin", 0)
  ftruncateSync(file, 1024 ** 3)
  writeSync(file, "end", 1024 ** 3)
  closeSync(file)
}

for (const [where, services] of Object.entries(stores)) {
  layer(services, { excludeTestServices: true, timeout: "60 seconds" })(`Checkpoints ${where}`, (it) => {
    it.scoped("give back files, folders and links of every kind, with their permissions and times", () =>
      Effect.gen(function* () {
        const files = yield* LocalFiles
        const { id, save } = yield* session
        const at = (path: string) => join(files.root, path)
        mkdirSync(at("deep/er/est"), { recursive: true })
        mkdirSync(at("empty"))
        writeFileSync(at("deep/er/est/a.txt"), "grüße\n")
        writeFileSync(at("none"), "")
        writeFileSync(at("random"), randomBytes(3_500_000))
        writeFileSync(at("text"), "line\n".repeat(700_000))
        writeFileSync(at("same"), "line\n".repeat(700_000))
        writeFileSync(Buffer.from(`${files.root}/odd \xff"\n name`, "latin1"), "odd")
        writeSparse(at("sparse"))
        writeFileSync(at("script.sh"), "#!/bin/sh\n", { mode: 0o755 })
        writeFileSync(at("secret"), "unreadable", { mode: 0o600 })
        chmodSync(at("secret"), 0)
        mkdirSync(at("closed"))
        writeFileSync(at("closed/in"), "closed")
        chmodSync(at("closed"), 0o500)
        symlinkSync("deep/er", at("link"))
        symlinkSync("/etc/passwd", at("away"))
        symlinkSync("nowhere", at("broken"))
        utimesSync(at("none"), 1_000_000_000, 1_000_000_000)
        writeFileSync(join(files.home, ".npmrc"), "a=b")
        mkdirSync(join(files.home, ".cache/deep"), { recursive: true })
        writeFileSync(join(files.home, ".cache/deep/x"), "not saved")
        yield* save(files)
        const after = yield* restored(id, 1)
        assertHolds(after.holds, contentsOf(files.root))
        assert.deepStrictEqual(Object.keys(after.home), ["/.npmrc"])
        assert.strictEqual(after.files.root === files.root, false)
        chmodSync(at("closed"), 0o700)
      }).pipe(Effect.provide(LocalFiles.layer)),
    )

    it.scoped("hold what changed and no more, and give back what there is after all of them", () =>
      Effect.gen(function* () {
        const files = yield* LocalFiles
        const { id, save } = yield* session
        const at = (path: string) => join(files.root, path)
        assert.isUndefined(yield* save(files), "there is nothing to save")
        mkdirSync(at("src/inner"), { recursive: true })
        for (let index = 0; index < 300; index++) writeFileSync(at(`src/inner/${index}`), `file ${index}`)
        const first = yield* save(files)
        assert.strictEqual(first?.places.length, 300)
        assert.isUndefined(yield* save(files), "nothing has changed")
        appendFileSync(at("src/inner/7"), " and more")
        rmSync(at("src/inner/8"))
        const second = yield* save(files)
        assert.deepInclude(second, { number: 2, base: 1 })
        assert.strictEqual(second?.places.length, 1)
        renameSync(at("src/inner"), at("moved"))
        writeFileSync(at("src/inner"), "a file where a folder was")
        mkdirSync(at("made"))
        symlinkSync("moved/9", at("made/nine"))
        assert.strictEqual((yield* save(files))?.places.length, 1)
        rmSync(at("moved"), { recursive: true })
        mkdirSync(at("moved"))
        writeFileSync(at("moved/only"), "one")
        rmSync(at("made"), { recursive: true })
        symlinkSync("moved", at("made"))
        assert.strictEqual((yield* save(files))?.number, 4)
        const { holds } = yield* restored(id, 4)
        assertHolds(holds, contentsOf(files.root))
      }).pipe(Effect.provide(LocalFiles.layer)),
    )

    it.scoped("hold what was changed under another name of the same file", () =>
      Effect.gen(function* () {
        const files = yield* LocalFiles
        const { id, save } = yield* session
        writeFileSync(join(files.root, "one"), "first")
        linkSync(join(files.root, "one"), join(files.home, "other"))
        yield* save(files)
        appendFileSync(join(files.home, "other"), " and second")
        yield* save(files)
        const { holds, home } = yield* restored(id, 2)
        assertHolds({ ...holds, ...home }, { ...contentsOf(files.root), ...contentsOf(files.home) })
      }).pipe(Effect.provide(LocalFiles.layer)),
    )

    it.scoped(
      "are refused, with the reason, where a piece is not what was saved, and later ones are not concerned",
      () =>
        Effect.gen(function* () {
          const files = yield* LocalFiles
          const sql = yield* SqlClient.SqlClient
          const store = yield* PackStore
          const { id, save } = yield* session
          const place = join(files.root, "a")
          for (const damage of ["flipped", "short", "gone"] as const) {
            writeFileSync(place, randomBytes(1000))
            const saved = yield* save(files)
            const { number, places } = saved!
            const pack = places[0]!.pack
            const data = (yield* store.get(pack))!
            yield* sql`UPDATE piece SET pack = pack WHERE pack = ${pack}`
            if (damage === "flipped") data[500]! ^= 1
            const bad = damage === "short" ? data.subarray(0, 700) : data
            yield* damagePack(pack, damage === "gone" ? undefined : bad)
            const error = yield* Effect.flip(restored(id, number))
            assert.deepInclude(error, { _tag: "CheckpointDamaged", checkpoint: number }, damage)
          }
          writeFileSync(place, "whole")
          yield* save(files)
          const { holds } = yield* restored(id, 4)
          assertHolds(holds, contentsOf(files.root))
        }).pipe(Effect.provide(LocalFiles.layer)),
    )

    it.scoped("give way to the newest that is whole, and what was damaged is kept anew", () =>
      Effect.gen(function* () {
        const files = yield* LocalFiles
        const rows = yield* SessionRows
        const { salvage, compact } = yield* Checkpoints
        const { id, place, save } = yield* session
        const write = (name: string, bytes: Buffer) => writeFileSync(join(files.root, name), bytes)
        const packOf = (saved: Prepared | undefined) => saved!.places[0]!.pack
        const last = randomBytes(40_000)
        write("constant", randomBytes(40_000))
        const constant = packOf(yield* save(files))
        write("a", randomBytes(40_000))
        yield* save(files)
        const before = contentsOf(files.root)
        write("a", last)
        const third = packOf(yield* save(files))
        // A new base, which names the damaged piece too.
        yield* rows.commit(id, 1, (yield* compact(principal, id, 3))!)
        yield* damagePack(third, Buffer.alloc(40_000))
        const damage = yield* Effect.flip(restored(id, 4))
        assert(damage._tag === "CheckpointDamaged")
        const { from, checkpoint } = yield* salvage(principal, id, damage)
        assert.deepStrictEqual([from, checkpoint.number, checkpoint.base], [2, 5, 5])
        yield* rows.commit(id, 1, checkpoint)
        const again = yield* restored(id, 5)
        assertHolds(again.holds, before)

        place.current = { number: 5, base: 5, cursor: undefined }
        write("a", last)
        const anew = yield* save(files)
        assert.notStrictEqual(packOf(anew), third)
        assertHolds((yield* restored(id, 6)).holds, contentsOf(files.root))

        const passing = new CheckpointDamaged({ checkpoint: 6, reason: "for a moment" })
        const whole = yield* Effect.flip(salvage(principal, id, passing))
        assert.notInclude(whole.message, "older", "what is whole by now is not given up")
        yield* damagePack(constant, undefined)
        const none = yield* Effect.flip(salvage(principal, id, passing))
        assert.include(none.message, "no older checkpoint is whole")
      }).pipe(Effect.provide(LocalFiles.layer)),
    )

    it.scoped("share what is the same, and leave nothing behind once their sessions are closed", () =>
      Effect.gen(function* () {
        const files = yield* LocalFiles
        const sql = yield* SqlClient.SqlClient
        const [one, other] = [yield* session, yield* session]
        writeFileSync(join(files.root, "shared"), randomBytes(30_000))
        writeFileSync(join(files.root, "other"), randomBytes(30_000))
        assert.lengthOf((yield* one.save(files))?.places ?? [], 2)
        writeFileSync(join(files.root, "other"), randomBytes(30_000))
        assert.lengthOf((yield* other.save(files))?.places ?? [], 1, "one of two files is known")
        const kept = Effect.map(
          sql<{ pieces: number; packs: number }>`
          SELECT (SELECT count(*)::int FROM piece_use WHERE session_id IN (${one.id}, ${other.id})) AS pieces,
            (SELECT count(*)::int FROM pack) AS packs`,
          ([row]) => row!,
        )
        yield* collect
        assert.strictEqual((yield* kept).pieces, 4)
        const close = (id: SessionId) =>
          Effect.gen(function* () {
            yield* sql`UPDATE session SET closed_at = now() WHERE id = ${id}`
            yield* sweep
            for (let round = 0; round < 3; round++) yield* Effect.zipRight(collect, Effect.sleep(5))
          })
        yield* close(one.id)
        assert.strictEqual((yield* kept).pieces, 2)
        assertHolds((yield* restored(other.id, 1)).holds, contentsOf(files.root))
        yield* close(other.id)
        assert.strictEqual((yield* kept).pieces, 0)
        const names = new Set([one.id, other.id])
        const left = yield* sql<{ session_id: SessionId }>`SELECT session_id FROM checkpoint`
        assert.isFalse(left.some(({ session_id }) => names.has(session_id)))
      }).pipe(Effect.provide(LocalFiles.layer)),
    )

    it.scoped("take back what was condemned, and are made again where it has gone in the meantime", () =>
      Effect.gen(function* () {
        const files = yield* LocalFiles
        const sql = yield* SqlClient.SqlClient
        const rows = yield* SessionRows
        const checkpoints = yield* Checkpoints
        const first = yield* session
        const content = randomBytes(30_000)
        writeFileSync(join(files.root, "a"), content)
        yield* first.save(files)
        yield* sql`UPDATE session SET closed_at = now() WHERE id = ${first.id}`
        yield* sweep
        // Condemned, and not deleted yet.
        yield* Effect.provide(collect, TestNode.settings({ GARBAGE_GRACE: "1 hour" }))
        const id = yield* SessionTable.insert()
        const { epoch } = yield* rows.claim(id, { epoch: 0, container: undefined }, [])
        const sandbox = FakeSandbox.make({ files: files.files })
        const prepare = Effect.map(
          checkpoints.save(principal, sandbox, template, nothing),
          ({ checkpoint }) => checkpoint!,
        )
        const outdated = yield* prepare
        assert.lengthOf(outdated.places, 0, "the piece is known")
        yield* sql`DELETE FROM piece_use WHERE session_id = ${first.id}`
        yield* sql`UPDATE piece SET condemned_at = now() - interval '1 day' WHERE encode(hash, 'hex') IN ${sql.in([...outdated.pieces])}`
        yield* collect
        assert.strictEqual((yield* Effect.flip(rows.commit(id, epoch, outdated)))._tag, "CheckpointOutdated")
        const again = yield* prepare
        assert.lengthOf(again.places, 1)
        yield* rows.commit(id, epoch, again)
        yield* rows.commit(id, epoch, again)
        yield* sql`UPDATE piece SET condemned_at = now() - interval '1 day'`
        yield* collect
        assertHolds((yield* restored(id, 1)).holds, contentsOf(files.root))
      }).pipe(Effect.provide(LocalFiles.layer)),
    )

    it.scoped("of another epoch, or that stand on another than the newest, are refused", () =>
      Effect.gen(function* () {
        const files = yield* LocalFiles
        const rows = yield* SessionRows
        const { id, save, place } = yield* session
        writeFileSync(join(files.root, "a"), "first")
        yield* save(files)
        const before = place.current
        writeFileSync(join(files.root, "a"), "second")
        yield* save(files)
        place.current = { ...before, cursor: undefined }
        assert.strictEqual((yield* Effect.flip(save(files)))._tag, "CheckpointOutdated")
        yield* rows.claim(id, { epoch: 0, container: undefined }, [])
        place.current = { ...before, number: 2, cursor: undefined }
        assert.strictEqual((yield* Effect.flip(save(files)))._tag, "SessionMoved")
        const sql = yield* SqlClient.SqlClient
        assert.deepStrictEqual(
          yield* sql`SELECT number FROM checkpoint WHERE session_id = ${id} ORDER BY number`,
          [{ number: 1 }, { number: 2 }],
        )
      }).pipe(Effect.provide(LocalFiles.layer)),
    )

    it.scoped("are brought together to one that names all files, and old ones go", () =>
      Effect.gen(function* () {
        const files = yield* LocalFiles
        const sql = yield* SqlClient.SqlClient
        const rows = yield* SessionRows
        const checkpoints = yield* Checkpoints
        const { id, save, place } = yield* session
        for (let round = 0; round < 3; round++) {
          for (let index = 0; index < 5; index++) {
            writeFileSync(join(files.root, `${round} ${index}`), `${round} ${index}`)
            yield* save(files)
          }
          const compact = (yield* checkpoints.compact(principal, id, place.current.number))!
          yield* rows.commit(id, 1, compact)
          place.current = { ...place.current, number: compact.number, base: compact.base }
        }
        const kept = yield* sql`SELECT number, base FROM checkpoint WHERE session_id = ${id} ORDER BY number`
        assert.deepStrictEqual(
          kept.map(({ number, base }) => `${number} on ${base}`),
          ["12 on 12", "13 on 12", "14 on 12", "15 on 12", "16 on 12", "17 on 12", "18 on 18"],
        )
        writeFileSync(join(files.root, "last"), "last")
        yield* save(files)
        assertHolds((yield* restored(id, 19)).holds, contentsOf(files.root))
        const history = (CHECKPOINT_HISTORY: string) =>
          collect.pipe(Effect.provide(TestNode.settings({ GARBAGE_GRACE: "1 millis", CHECKPOINT_HISTORY })))
        const numbers = Effect.map(
          sql<{ number: number }>`SELECT number FROM checkpoint WHERE session_id = ${id} ORDER BY number`,
          (rows) => rows.map(({ number }) => number),
        )
        yield* history("1 hour")
        assert.lengthOf(yield* numbers, 8)
        yield* Effect.sleep(5)
        yield* history("1 millis")
        assert.deepStrictEqual(
          yield* numbers,
          [18, 19],
          "none is older than its time, but what the newest needs",
        )
        assertHolds((yield* restored(id, 19)).holds, contentsOf(files.root))
      }).pipe(Effect.provide(LocalFiles.layer)),
    )
  })
}

/** Puts other bytes in the place of a pack, or nothing. */
const damagePack = (pack: string, data: Buffer | undefined) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const store = yield* PackStore
    yield* store.remove([pack])
    // A row that has bytes is a pack in Postgres, wherever the others are.
    yield* sql`UPDATE pack SET data = ${data ?? null} WHERE id = ${pack}`
  })

layer(TestNode.database(), { excludeTestServices: true, timeout: "60 seconds" })(
  "The folder of packs",
  (it) => {
    it.scoped("is one cluster's: another folder, another cluster's, and none at all are refused", () =>
      Effect.gen(function* () {
        const [first, second] = [yield* folder, yield* folder]
        const open = (path: string) => Effect.scoped(Layer.build(Layer.fresh(DirectoryPacks.layer(path))))
        // Nodes that start at once agree on it.
        yield* Effect.all(
          Array.from({ length: 5 }, () => open(first)),
          { concurrency: "unbounded" },
        )
        const problem = (path: string) => Effect.map(Effect.flip(open(path)), String)
        assert.include(yield* problem(second), "does not hold the files of this cluster")
        writeFileSync(join(second, "codegen-mcp-store"), `${"0".repeat(32)}\n`)
        assert.include(yield* problem(second), "belongs to another cluster")
        writeFileSync(join(second, "no folder"), "")
        assert.include(yield* problem(join(second, "no folder")), "cannot be used")
        const postgres = yield* Effect.flip(Effect.scoped(Layer.build(Layer.fresh(PostgresPacks.layer))))
        assert.include(String(postgres), "this cluster's files are in a folder")
        yield* open(first)
        assert.deepStrictEqual(readdirSync(first), ["codegen-mcp-store"])
      }),
    )

    it.scoped("loses with a pack what a node that died had written of it", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        yield* sql`UPDATE cluster SET store = NULL`
        const path = yield* folder
        const { put, remove } = Context.get(
          yield* Layer.build(Layer.fresh(DirectoryPacks.layer(path))),
          PackStore,
        )
        yield* put("p_ab", Buffer.from("whole"))
        writeFileSync(join(path, "ab", "p_cdab.half"), "ha")
        yield* remove(["p_ab", "p_cdab"])
        assert.deepStrictEqual(readdirSync(join(path, "ab")), [])
      }),
    )
  },
)
