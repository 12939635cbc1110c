import { SqlClient } from "@effect/sql"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { readdirSync } from "node:fs"
import * as Database from "../../src/database/Database.ts"
import * as TestDatabase from "../support/TestDatabase.ts"
import * as TestNode from "../support/TestNode.ts"

const database = (url: string, values: Readonly<Record<string, string>> = {}) =>
  Layer.fresh(Database.layer).pipe(Layer.provide(TestNode.settings({ DATABASE_URL: url, ...values })))

describe("Database", () => {
  it.scopedLive("makes its tables once for five nodes that start at once on an empty database", () =>
    Effect.gen(function* () {
      const url = yield* TestDatabase.make
      const clusters = yield* Effect.replicateEffect(
        Effect.flatMap(SqlClient.SqlClient, (sql) => sql<{ id: string }>`SELECT id FROM cluster`).pipe(
          Effect.provide(database(url, { DATABASE_POOL: "3" })),
        ),
        5,
        { concurrency: "unbounded" },
      )
      assert.strictEqual(new Set(clusters.map((rows) => rows[0]?.id)).size, 1)
      for (const rows of clusters) assert.lengthOf(rows, 1)
      const migrations = yield* Effect.flatMap(
        SqlClient.SqlClient,
        (sql) => sql`SELECT migration_id FROM effect_sql_migrations`,
      ).pipe(Effect.provide(database(url)))
      assert.lengthOf(migrations, readdirSync("src/database/migrations").length)
    }),
  )

  it.scopedLive("plans a statement with parameters once a connection, however often it is used", () =>
    Effect.gen(function* () {
      const url = yield* TestDatabase.make
      const [numbers, prepared] = yield* Effect.flatMap(SqlClient.SqlClient, (sql) =>
        sql.withTransaction(
          Effect.all([
            Effect.forEach([1, 2, 3], (n) => sql<{ n: number }>`SELECT ${n}::int + 1 AS n`),
            sql<{ uses: number }>`
              SELECT (generic_plans + custom_plans)::int AS uses FROM pg_prepared_statements
              WHERE statement LIKE '%::int + 1 AS n'`,
          ]),
        ),
      ).pipe(Effect.provide(database(url)))
      assert.deepStrictEqual(numbers.flat(), [{ n: 2 }, { n: 3 }, { n: 4 }])
      assert.deepStrictEqual(prepared, [{ uses: 3 }])
    }),
  )

  it.live("says where Postgres was looked for, and no password", () =>
    Effect.gen(function* () {
      for (const url of [
        "postgres://ann:secret@127.0.0.1:1/db",
        "postgres://ann:secret@no-such-host.invalid/db",
      ]) {
        const error = yield* Effect.flip(Effect.scoped(Layer.build(database(url))))
        assert.propertyVal(error, "_tag", "DatabaseUnreachable")
        assert.include(error.message, new URL(url).host)
        assert.include(error.message, "DATABASE_URL")
        assert.notInclude(error.message, "secret")
        assert.notInclude(error.message, "\n")
      }
    }),
  )

  it.scopedLive("does what it is given exclusively, one process after another", () =>
    Effect.gen(function* () {
      const url = yield* TestDatabase.make
      let inside = 0
      let most = 0
      const work = Effect.acquireUseRelease(
        Effect.sync(() => (most = Math.max(most, ++inside))),
        () => Effect.sleep("30 millis"),
        () => Effect.sync(() => inside--),
      )
      yield* Effect.replicateEffect(Effect.provide(Database.exclusively(work), database(url)), 4, {
        concurrency: "unbounded",
      })
      assert.strictEqual(most, 1)
    }),
  )

  it.scopedLive("turns SQL's failures, and an answer that does not come in 5 s, into Unavailable", () =>
    Effect.gen(function* () {
      const sql = yield* Effect.provide(
        SqlClient.SqlClient,
        yield* Layer.build(database(yield* TestDatabase.make)),
      )
      assert.strictEqual((yield* Effect.flip(Database.answering(sql`SELECT no`)))._tag, "Unavailable")
      const slow = yield* Effect.fork(Effect.flip(Database.answering(sql`SELECT pg_sleep(20)`)))
      assert.strictEqual((yield* Effect.timeout(Fiber.join(slow), "8 seconds"))._tag, "Unavailable")
    }),
  )

  it.scopedLive("has its lock connections ended by Postgres when they fall silent", () =>
    Effect.gen(function* () {
      const url = yield* TestDatabase.make
      const sql = yield* Effect.provide(
        SqlClient.SqlClient,
        yield* Layer.build(
          Layer.fresh(Database.layerLocks).pipe(
            Layer.provide(TestNode.settings({ DATABASE_URL: url, SHARD_LOCK_EXPIRATION: "6 seconds" })),
          ),
        ),
      )
      const [row] = yield* sql<{ timeout: string }>`SELECT current_setting('idle_session_timeout') AS timeout`
      assert.strictEqual(row?.timeout, "8s")
    }),
  )
})
