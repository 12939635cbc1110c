import { SqlClient } from "@effect/sql"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Principal } from "../../src/domain/Identity.ts"
import { SessionName } from "../../src/domain/Session.ts"
import { Connections } from "../../src/mcp/Connections.ts"
import * as Directory from "../../src/session/Directory.ts"
import { RecordedReleases } from "../support/RecordedReleases.ts"
import * as SessionTable from "../support/SessionTable.ts"
import * as TestNode from "../support/TestNode.ts"
import { until } from "../support/Until.ts"

const connections = Connections.layer.pipe(
  Layer.provide(Directory.layer),
  Layer.provideMerge(RecordedReleases.layer),
  Layer.provideMerge(TestNode.database({ CONNECTION_LEASE: "4 seconds" })),
)

const [ann, bob] = [Principal.make("token:ann"), Principal.make("token:bob")]

const hello = {
  protocolVersion: "2025-06-18",
  client: { name: "te'st", version: "1" },
  capabilities: { roots: {} },
}

/** Makes the connection look as if it was last heard of so many milliseconds ago. */
const age = Effect.fnUntraced(function* (id: string, ms: number) {
  const sql = yield* SqlClient.SqlClient
  yield* sql`UPDATE connection SET seen_at = now() - make_interval(secs => ${ms / 1000}) WHERE id = ${id}`
})

/** Milliseconds since the connection was last heard of, by the database's clock. */
const silence = (id: string) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const rows = yield* sql<{ ms: number }>`
      SELECT extract(epoch FROM now() - seen_at)::float8 * 1000 AS ms FROM connection WHERE id = ${id}`
    return rows[0]?.ms
  })

layer(connections, { excludeTestServices: true, timeout: "60 seconds" })("Connections", (it) => {
  it.effect("binds each connection without a name to a session of its own", () =>
    Effect.gen(function* () {
      const { find, open } = yield* Connections
      const [one, two] = [yield* open(ann, undefined, hello), yield* open(ann, undefined, hello)]
      assert.notStrictEqual(one.id, two.id)
      assert.notStrictEqual(one.session, two.session)
      assert.deepInclude(yield* find(ann, one.id), { ...one, protocolVersion: "2025-06-18" })
    }),
  )

  it.effect("binds connections of one name to one session, each principal's own", () =>
    Effect.gen(function* () {
      const { open } = yield* Connections
      const name = SessionName.make("shared")
      const [one, two, other] = [
        yield* open(ann, name, hello),
        yield* open(ann, name, hello),
        yield* open(bob, name, hello),
      ]
      assert.notStrictEqual(one.id, two.id)
      assert.strictEqual(one.session, two.session)
      assert.notStrictEqual(one.session, other.session)
    }),
  )

  it.effect("finds no unknown, foreign or ended connection", () =>
    Effect.gen(function* () {
      const { close, find, open } = yield* Connections
      const connection = yield* open(ann, undefined, hello)
      assert.isUndefined(yield* find(bob, connection.id))
      for (const id of ["", "c_0", "' OR true --", `c_${"0".repeat(32)}`, "x".repeat(10_000)]) {
        assert.isUndefined(yield* find(ann, id))
      }
      yield* close(ann, connection)
      assert.isUndefined(yield* find(ann, connection.id))
    }),
  )

  it.effect("renews the lease of a connection that is used, but not at every request", () =>
    Effect.gen(function* () {
      const { find, open } = yield* Connections
      const { id } = yield* open(ann, undefined, hello)
      yield* age(id, 500)
      yield* find(ann, id)
      assert.isAtLeast((yield* silence(id)) ?? 0, 500)
      yield* age(id, 2000)
      assert.isDefined(yield* find(ann, id))
      assert.isBelow((yield* silence(id)) ?? 9999, 1000)
    }),
  )

  it.effect("finds no connection whose lease is over, and does not revive it", () =>
    Effect.gen(function* () {
      const { find, open } = yield* Connections
      const { id } = yield* open(ann, undefined, hello)
      yield* age(id, 4100)
      assert.isUndefined(yield* find(ann, id))
      assert.isAtLeast((yield* silence(id)) ?? 0, 4100)
    }),
  )

  it.effect("keeps the lease for as long as a request is worked on, and no longer", () =>
    Effect.gen(function* () {
      const { keep, open } = yield* Connections
      const { id } = yield* open(ann, undefined, hello)
      yield* age(id, 3500)
      yield* keep(id).pipe(Effect.zipRight(until(silence(id), (ms) => (ms ?? 9999) < 1000)), Effect.scoped)
      yield* age(id, 3500)
      yield* Effect.sleep("1300 millis")
      assert.isAtLeast((yield* silence(id)) ?? 0, 4000)
    }),
  )

  it.effect("ends with a connection the session that was made for it, and no named one", () =>
    Effect.gen(function* () {
      const { close, open } = yield* Connections
      const own = yield* open(ann, undefined, hello)
      const named = yield* open(ann, SessionName.make("stays"), hello)
      for (const connection of [own, named]) yield* close(ann, connection)
      assert.isTrue((yield* SessionTable.row(own.session))?.closed)
      assert.isFalse((yield* SessionTable.row(named.session))?.closed)
      yield* close(ann, own)
    }),
  )
})
