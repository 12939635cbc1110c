import { SqlClient } from "@effect/sql"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { randomId, type SessionId } from "../../src/domain/Identity.ts"
import { sweep } from "../../src/session/Sweeper.ts"
import * as SessionTable from "../support/SessionTable.ts"
import * as TestNode from "../support/TestNode.ts"

const minutes = { CONNECTION_LEASE: "10 minutes", IDLE_TIMEOUT: "20 minutes", UNNAMED_LIFETIME: "24 hours" }

/** A session last called so many minutes ago. */
const session = Effect.fnUntraced(function* (
  ago: number,
  values: NonNullable<Parameters<typeof SessionTable.insert>[0]>,
) {
  const sql = yield* SqlClient.SqlClient
  const id = yield* SessionTable.insert(values)
  yield* sql`UPDATE session SET active_at = now() - make_interval(mins => ${ago}) WHERE id = ${id}`
  return id
})

/** A connection to it, last heard of so many minutes ago. */
const connection = Effect.fnUntraced(function* (id: SessionId, ago: number) {
  const sql = yield* SqlClient.SqlClient
  const connection = yield* randomId("c_")
  yield* sql`
    INSERT INTO connection (id, principal, session_id, protocol_version, client, capabilities, seen_at)
    VALUES (${connection}, 'local', ${id}, '1', '{}', '{}', now() - make_interval(mins => ${ago}))`
  return connection
})

const isOpen = (id: SessionId) => Effect.map(SessionTable.row(id), (row) => row?.closed === false)

layer(TestNode.database({ ...minutes, OPERATION_RETENTION: "7 days" }), {
  excludeTestServices: true,
  timeout: "60 seconds",
})("Sweeper", (it) => {
  it.effect("ends connections whose lease is over, and the sessions that were made for them", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const [over, kept] = [
        yield* session(11, { lifetime: "connection", used: true }),
        yield* session(11, { lifetime: "connection", used: true }),
      ]
      yield* connection(over, 11)
      const alive = yield* connection(kept, 9)
      yield* sweep
      assert.deepStrictEqual([yield* isOpen(over), yield* isOpen(kept)], [false, true])
      const left = yield* sql<{ id: string }>`SELECT id FROM connection`
      assert.deepStrictEqual(
        left.map(({ id }) => id),
        [alive],
      )
    }),
  )

  it.effect("keeps a session that was called within the lease although its connection has gone", () =>
    Effect.gen(function* () {
      const id = yield* session(9, { lifetime: "connection", used: true })
      yield* sweep
      assert.isTrue(yield* isOpen(id))
    }),
  )

  it.effect("closes sessions in which nothing ever ran after the idle time, named ones too", () =>
    Effect.gen(function* () {
      const old = yield* session(21, { lifetime: "named", name: "old" })
      const young = yield* session(19, { lifetime: "named", name: "young" })
      const unnamed = yield* session(21, { lifetime: "unnamed" })
      const connected = yield* session(21, { lifetime: "connection" })
      yield* connection(connected, 1)
      assert.isAtLeast(yield* sweep, 2)
      for (const [id, open] of [
        [old, false],
        [young, true],
        [unnamed, false],
        [connected, true],
      ] as const) {
        assert.strictEqual(yield* isOpen(id), open)
      }
    }),
  )

  it.effect("keeps a named session that was used, however long ago", () =>
    Effect.gen(function* () {
      const used = yield* session(60 * 24 * 365, { lifetime: "named", used: true })
      const lost = yield* session(60 * 24 * 365, { lifetime: "named", lost: true })
      yield* sweep
      assert.isTrue(yield* isOpen(used))
      assert.isTrue(yield* isOpen(lost))
    }),
  )

  it.effect(
    "closes an unnamed session of open_session after its lifetime, unless a connection is bound to it",
    () =>
      Effect.gen(function* () {
        const day = 24 * 60
        const old = yield* session(day + 1, { lifetime: "unnamed", used: true })
        const young = yield* session(day - 1, { lifetime: "unnamed", used: true })
        const bound = yield* session(day + 1, { lifetime: "unnamed", used: true })
        yield* connection(bound, 0)
        yield* sweep
        assert.deepStrictEqual(
          [yield* isOpen(old), yield* isOpen(young), yield* isOpen(bound)],
          [false, true, true],
        )
      }),
  )

  it.effect("forgets operations, closed sessions and nodes after the retention, and no open session", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const [open, closed, recent] = [
        yield* session(0, { used: true }),
        yield* session(0, {}),
        yield* session(0, {}),
      ]
      yield* sql`UPDATE session SET closed_at = now() - interval '8 days' WHERE id = ${closed}`
      yield* sql`UPDATE session SET closed_at = now() - interval '6 days' WHERE id = ${recent}`
      yield* sql`
        INSERT INTO operation (session_id, id, tool, input_hash, state, started_at, ended_at) VALUES
          (${open}, 'old', 'exec', 'h', 'succeeded', now() - interval '9 days', now() - interval '8 days'),
          (${open}, 'new', 'exec', 'h', 'succeeded', now() - interval '9 days', now() - interval '6 days'),
          (${open}, 'running', 'exec', 'h', 'running', now() - interval '9 days', NULL),
          (${closed}, 'gone', 'exec', 'h', 'running', now(), NULL)`
      yield* sql`
        INSERT INTO node (incarnation, id, engine, seen_at) VALUES
          ('i_old', 'a', 'e', now() - interval '8 days'), ('i_new', 'a', 'e', now())`
      yield* sweep
      assert.deepStrictEqual(yield* SessionTable.states(open), { new: "succeeded", running: "running" })
      assert.isUndefined(yield* SessionTable.row(closed))
      assert.isDefined(yield* SessionTable.row(recent))
      const nodes = yield* sql<{ incarnation: string }>`SELECT incarnation FROM node`
      assert.deepStrictEqual(
        nodes.map(({ incarnation }) => incarnation),
        ["i_new"],
      )
    }),
  )

  it.effect("closes each session once where several nodes sweep at once", () =>
    Effect.gen(function* () {
      for (let index = 0; index < 10; index++) yield* session(21, { lifetime: "unnamed" })
      const counts = yield* Effect.replicateEffect(sweep, 5, { concurrency: "unbounded" })
      assert.strictEqual(
        counts.reduce((sum, count) => sum + count, 0),
        10,
      )
    }),
  )
})
