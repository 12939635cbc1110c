/** Files beside the workspace, in a real Postgres and in a folder. */
import { SqlClient } from "@effect/sql"
import { assert, layer } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer, Stream } from "effect"
import { createHash, randomBytes } from "node:crypto"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ObjectId, Principal, type SessionId } from "../../src/domain/Identity.ts"
import { verify } from "../../src/domain/SignedUrl.ts"
import * as DirectoryPacks from "../../src/workspace/DirectoryPacks.ts"
import { collect } from "../../src/workspace/Garbage.ts"
import { Objects } from "../../src/workspace/Objects.ts"
import type { PackStore } from "../../src/workspace/PackStore.ts"
import * as PostgresPacks from "../../src/workspace/PostgresPacks.ts"
import { SignedUrls } from "../../src/workspace/SignedUrls.ts"
import * as SessionTable from "../support/SessionTable.ts"
import * as TestNode from "../support/TestNode.ts"
import { until } from "../support/Until.ts"

const MiB = 1024 * 1024
const principal = Principal.make("local")

/** The folder that is in use, if one is. */
let current: string | undefined
const folder = Effect.acquireRelease(
  Effect.sync(() => (current = mkdtempSync(join(tmpdir(), "codegen-objects-")))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true })),
)

const services = <E, R>(store: Layer.Layer<PackStore, E, R>) =>
  Objects.layer.pipe(
    Layer.provideMerge(SignedUrls.layer),
    Layer.provideMerge(store),
    Layer.provideMerge(
      TestNode.database({
        GARBAGE_GRACE: "1 millis",
        MAX_TRANSFER: String(12 * MiB),
        MAX_ARTIFACTS: "6",
        MAX_ARTIFACT_BYTES: String(40 * MiB),
        SESSION_ARTIFACTS: "4",
        SESSION_ARTIFACT_BYTES: String(20 * MiB),
        ARTIFACT_RETENTION: "1 hour",
      }),
    ),
  )

/** In chunks of an odd size. */
const chunksOf = (data: Buffer) =>
  Stream.fromIterable(
    Array.from({ length: Math.ceil(data.length / 70_001) }, (_, index) =>
      data.subarray(index * 70_001, (index + 1) * 70_001),
    ),
  )

const save = (
  session: SessionId,
  data: Buffer,
  more: { readonly epoch?: number; readonly kind?: "artifact" | "archive" } = {},
) =>
  Effect.flatMap(Objects, ({ save }) =>
    save(
      {
        principal,
        session,
        epoch: more.epoch,
        kind: more.kind ?? "artifact",
        name: "a.bin",
        mime: "text/plain",
      },
      chunksOf(data),
    ),
  )

const read = (object: Parameters<(typeof Objects.Service)["contents"]>[0], from?: number, length?: number) =>
  Effect.gen(function* () {
    return Buffer.concat([...(yield* Stream.runCollect((yield* Objects).contents(object, from, length)))])
  })

const tagOf = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.either(effect), (either) => (either._tag === "Left" ? either.left._tag : "success"))

const rowsOf = (table: string) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    Effect.map(
      sql<{ count: number }>`SELECT count(*)::int AS count FROM ${sql(table)}`,
      ([row]) => row?.count,
    ),
  )

/** How many packs there are, and files of packs where those are files. */
const packs = Effect.map(rowsOf("pack"), (rows) => ({
  rows: rows ?? 0,
  files:
    current === undefined
      ? 0
      : readdirSync(current, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
          .length,
}))

const close = (session: SessionId) =>
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => sql`UPDATE session SET closed_at = now() WHERE id = ${session}`,
  )

const stores = {
  "in Postgres": services(PostgresPacks.layer),
  "in a folder": services(Layer.unwrapScoped(Effect.map(folder, DirectoryPacks.layer))),
}

for (const [where, store] of Object.entries(stores)) {
  layer(store, { excludeTestServices: true, timeout: "60 seconds" })(`Objects ${where}`, (it) => {
    it.effect("gives back what was kept, whole and in parts, and keeps the same bytes once", () =>
      Effect.gen(function* () {
        const session = yield* SessionTable.insert()
        const data = randomBytes(5 * MiB + 3)
        const one = yield* save(session, data)
        const packs = yield* rowsOf("pack")
        assert.strictEqual(one.sha256, createHash("sha256").update(data).digest("hex"))
        assert.deepInclude(one, {
          size: data.length,
          session,
          principal,
          expiresAt: null,
          isSessionOpen: true,
        })
        const two = yield* save(session, data)
        assert.strictEqual(yield* rowsOf("pack"), packs)
        assert.notStrictEqual(two.id, one.id)
        for (const object of [one, two]) assert.isTrue((yield* read(object)).equals(data))
        for (const [from, length] of [
          [0, 1],
          [MiB - 1, 2],
          [3 * MiB, 2 * MiB + 3],
          [5 * MiB + 2, 99],
          [data.length, 5],
        ] as const) {
          assert.isTrue(
            (yield* read(two, from, length)).equals(data.subarray(from, from + length)),
            `${from}`,
          )
        }
        const { remove } = yield* Objects
        yield* Effect.forEach([one, two], ({ id }) => remove(principal, id))
        const empty = yield* save(session, Buffer.alloc(0))
        assert.strictEqual((yield* read(empty)).length, 0)
        yield* remove(principal, empty.id)
      }),
    )

    it.effect(
      "keeps no more than it may, of a file, a session, a principal, and nothing of a stale owner",
      () =>
        Effect.gen(function* () {
          const session = yield* SessionTable.insert()
          assert.strictEqual(yield* tagOf(save(session, Buffer.alloc(12 * MiB + 1))), "TransferTooLarge")
          assert.strictEqual(yield* tagOf(save(session, Buffer.from("x"), { epoch: 7 })), "SessionClosed")
          const made = [yield* save(session, Buffer.alloc(12 * MiB, 1))]
          assert.strictEqual(yield* tagOf(save(session, Buffer.alloc(12 * MiB, 2))), "TooManyArtifacts")
          for (const text of ["b", "c", "d"]) made.push(yield* save(session, Buffer.from(text)))
          assert.strictEqual(yield* tagOf(save(session, Buffer.from("e"))), "TooManyArtifacts")
          const other = yield* SessionTable.insert()
          for (const text of ["f", "g"]) made.push(yield* save(other, Buffer.from(text)))
          assert.strictEqual(yield* tagOf(save(other, Buffer.from("h"))), "TooManyArtifacts")
          const { artifact, list, remove } = yield* Objects
          assert.lengthOf(yield* list(principal, 100), 6)
          const stranger = Principal.make("stranger")
          assert.lengthOf(yield* list(stranger, 100), 0)
          assert.strictEqual(yield* tagOf(artifact(stranger, made[0]!.id)), "ArtifactNotFound")
          assert.isFalse(yield* remove(stranger, made[0]!.id))
          for (const { id } of made) assert.isTrue(yield* remove(principal, id))
          assert.strictEqual(yield* tagOf(artifact(principal, made[0]!.id)), "ArtifactNotFound")
          // An archive takes the place of the one before.
          const archives = yield* Effect.forEach(["1", "2"], (text) =>
            save(session, Buffer.from(text), { kind: "archive" }),
          )
          assert.strictEqual(yield* rowsOf("object"), 1)
          yield* remove(principal, archives[1]!.id)
        }),
    )

    it.effect("leaves no pack of a save that fails, is refused or is interrupted", () =>
      Effect.gen(function* () {
        const session = yield* SessionTable.insert()
        const kept = yield* save(session, randomBytes(5 * MiB))
        const before = yield* packs
        const { remove, save: keep } = yield* Objects
        const object = {
          principal,
          session,
          epoch: undefined,
          kind: "upload",
          name: "a",
          mime: "x/y",
        } as const
        const begun = chunksOf(randomBytes(9 * MiB))
        const broken = Stream.concat(begun, Stream.fail({ _tag: "Broken" as const }))
        assert.strictEqual(yield* tagOf(keep(object, broken)), "Broken")
        assert.deepStrictEqual(yield* packs, before)
        assert.strictEqual(yield* tagOf(save(session, randomBytes(12 * MiB + 1))), "TransferTooLarge")
        for (const size of [100, 5 * MiB])
          assert.strictEqual(yield* tagOf(save(session, randomBytes(size), { epoch: 7 })), "SessionClosed")
        assert.deepStrictEqual(yield* packs, before)
        const endless = yield* Effect.fork(keep(object, Stream.concat(begun, Stream.never)))
        yield* until(packs, ({ rows }) => rows > before.rows)
        yield* Fiber.interrupt(endless)
        assert.deepStrictEqual(yield* packs, before)
        yield* remove(principal, kept.id)
      }),
    )

    it.effect(
      "ends URLs with their session, keeps its artifacts for their time, and then removes all of them",
      () =>
        Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          const objects = yield* Objects
          const urls = yield* SignedUrls
          const session = yield* SessionTable.insert()
          const data = randomBytes(3 * MiB)
          const kept = yield* save(session, data)
          const archive = yield* save(session, randomBytes(100), { kind: "archive" })
          const claimsOf = ({ url }: { readonly url: string }, method = "GET") =>
            urls.read(url.split("/files/")[1]!.split("/")[0]!, method)
          const before = yield* Effect.flatMap(objects.url(kept, "http://h"), claimsOf)
          const ofArchive = yield* Effect.flatMap(objects.url(archive, "http://h"), claimsOf)
          const sending = yield* Effect.flatMap(objects.uploadUrl(session, "src", "http://h"), (url) =>
            claimsOf(url, "PUT"),
          )
          assert.strictEqual((yield* objects.allowed(before)).id, kept.id)
          assert.strictEqual(yield* objects.receiver(sending), principal)

          yield* close(session)
          for (const claims of [before, ofArchive])
            assert.strictEqual(yield* tagOf(objects.allowed(claims)), "UrlRefused")
          assert.strictEqual(yield* tagOf(objects.receiver(sending)), "UrlRefused")
          assert.strictEqual(yield* tagOf(save(session, Buffer.from("late"))), "SessionClosed")
          // It is the artifact's own principal that asks again.
          const found = yield* objects.artifact(principal, kept.id)
          assert.closeTo(found.expiresAt ?? 0, (yield* Clock.currentTimeMillis) + 3_600_000, 60_000)
          const after = yield* Effect.flatMap(objects.url(found, "http://h"), claimsOf)
          yield* collect
          yield* sql`DELETE FROM session WHERE id = ${session}`
          yield* collect
          assert.isTrue((yield* read(yield* objects.allowed(after))).equals(data))

          yield* sql`UPDATE object SET ended_at = now() - interval '61 minutes' WHERE id = ${kept.id}`
          assert.strictEqual(yield* tagOf(objects.allowed(after)), "ArtifactNotFound")
          for (let left = 5; left > 0; left--) yield* Effect.delay(collect, "5 millis")
          for (const table of ["object", "piece_use", "piece", "pack", "base_gone"]) {
            assert.strictEqual(yield* rowsOf(table), 0, table)
          }
        }),
    )
  })
}

layer(Layer.merge(services(PostgresPacks.layer), TestNode.settings({})), {
  excludeTestServices: true,
  timeout: "60 seconds",
})("Objects and SignedUrls", (it) => {
  it.effect("never removes what a save that races the collector has kept", () =>
    Effect.gen(function* () {
      const session = yield* SessionTable.insert()
      const { remove } = yield* Objects
      const data = randomBytes(MiB + 50_000)
      let kept = 0
      yield* Effect.gen(function* () {
        for (let round = 0; round < 12; round++) {
          const saved = yield* Effect.either(save(session, data))
          if (saved._tag === "Left") {
            // It was being removed, and says so.
            assert.strictEqual(saved.left._tag, "Unavailable")
            continue
          }
          kept++
          assert.isTrue((yield* read(saved.right)).equals(data))
          yield* remove(principal, saved.right.id)
        }
      }).pipe(Effect.raceFirst(Effect.forever(Effect.delay(Effect.ignore(collect), "1 millis"))))
      assert.isAbove(kept, 1)
    }),
  )

  it.effect(
    "signs URLs by the first of the cluster's secrets, reads those of all, and else takes one of the database",
    () =>
      Effect.gen(function* () {
        const [one, two] = ["1".repeat(32), "2".repeat(32)]
        const claims = {
          session: yield* SessionTable.insert(),
          object: ObjectId.make(`a_${"0".repeat(32)}`),
          method: "GET" as const,
        }
        const withSecrets = (secrets: string) =>
          Effect.provide(
            SignedUrls,
            Layer.provide(SignedUrls.layer, TestNode.settings({ CLUSTER_SECRET: secrets })),
          )
        const none = yield* SignedUrls
        const [first, both, later] = [
          yield* withSecrets(one),
          yield* withSecrets(`${two},${one}`),
          yield* withSecrets(two),
        ]
        const made = (urls: typeof none) =>
          Effect.map(urls.make("http://h", claims, "n a/me"), ({ url }) => {
            assert.match(url, /^http:\/\/h\/files\/[\w-]+\.[\w-]+\/n%20a%2Fme$/)
            return url.split("/")[4]!
          })
        const old = yield* made(first)
        assert.strictEqual(yield* tagOf(both.read(old, "GET")), "success")
        assert.strictEqual(yield* tagOf(later.read(old, "GET")), "UrlRefused")
        assert.strictEqual(yield* tagOf(later.read(yield* made(both), "GET")), "success")
        assert.strictEqual(yield* tagOf(first.read(yield* made(both), "GET")), "UrlRefused")
        assert.strictEqual(yield* tagOf(none.read(yield* made(none), "GET")), "success")
        assert.strictEqual(yield* tagOf(none.read(old, "GET")), "UrlRefused")
        // The secret itself is no key.
        assert.strictEqual(verify([Buffer.from(one)], old, "GET", 0)._tag, "Left")
      }),
  )
})
