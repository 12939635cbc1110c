import { SqlClient } from "@effect/sql"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import * as Heartbeat from "../../src/node/Heartbeat.ts"
import { Docker } from "../../src/sandbox/Docker.ts"
import { Destinations } from "../../src/sandbox/tunnel/Destinations.ts"
import { Outside } from "../../src/sandbox/tunnel/Outside.ts"
import { Peers } from "../../src/sandbox/tunnel/Peers.ts"
import * as TestNode from "../support/TestNode.ts"
import { until } from "../support/Until.ts"

/** Starts a node of this id; gives the end of its heart, and the way to end it. */
const start = Effect.fnUntraced(function* (node: string) {
  const scope = yield* Scope.fork(yield* Effect.scope, Exit.void as never)
  const context = yield* Layer.buildWithScope(
    Layer.fresh(Heartbeat.layer.pipe(Layer.provideMerge(TestNode.identity({ node })))),
    scope,
  )
  const { replaced } = yield* Effect.provide(Heartbeat.Heartbeat, context)
  return { replaced, stop: Scope.close(scope, Exit.void) }
})

/** This node's incarnations, oldest first. */
const rows = (node: string) =>
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => sql<{ ended: boolean; seen: Date; engine: string }>`
      SELECT ended_at IS NOT NULL AS ended, seen_at AS seen, engine FROM node WHERE id = ${node} ORDER BY started_at`,
  )

const services = Docker.layer.pipe(
  Layer.provideMerge(
    TestNode.both({
      NODE_HEARTBEAT: "100 millis",
      RUNNER_HOST: "10.77.0.5",
      TUNNEL_ALLOW_CIDRS: "10.77.0.0/16",
    }),
  ),
)

/** Why a node that looks now dials an address in no tunnel. */
const refusal = (address: string, port: number) =>
  Effect.gen(function* () {
    const layer = Destinations.layer.pipe(Layer.provide(Layer.merge(Outside.layer, Peers.layer)))
    return Context.get(yield* Layer.build(Layer.fresh(layer)), Destinations).refusal(address, port)
  })

layer(services, { excludeTestServices: true, timeout: "60 seconds" })("Heartbeat", (it) => {
  it.scoped("registers the node with its engine, and keeps saying that it lives", () =>
    Effect.gen(function* () {
      yield* start("steady")
      const [first] = yield* rows("steady")
      assert.strictEqual(first?.engine, (yield* Docker).engine)
      yield* until(rows("steady"), ([row]) => (row?.seen.getTime() ?? 0) > (first?.seen.getTime() ?? 0))
      assert.deepInclude((yield* rows("steady"))[0], { ended: false })
    }),
  )

  it.scoped("is replaced when another process starts under the node's id, which itself goes on", () =>
    Effect.gen(function* () {
      const first = yield* start("twin")
      const second = yield* start("twin")
      const error = yield* Effect.flip(Effect.timeout(first.replaced, "5 seconds"))
      assert.strictEqual(error._tag, "NodeReplaced")
      assert.include(String(error), "node twin")
      assert.strictEqual((yield* Effect.timeoutOption(second.replaced, "300 millis"))._tag, "None")
      assert.deepStrictEqual(
        (yield* rows("twin")).map(({ ended }) => ended),
        [true, false],
      )
    }),
  )

  it.scoped("is not replaced by a node of another id", () =>
    Effect.gen(function* () {
      const { replaced } = yield* start("one")
      yield* start("two")
      assert.strictEqual((yield* Effect.timeoutOption(replaced, "300 millis"))._tag, "None")
    }),
  )

  it.scoped(
    "says where the node listens, so that no tunnel of another one leads there, whatever is excepted",
    () =>
      Effect.gen(function* () {
        const { stop } = yield* start("listening")
        for (const port of [8080, 34431])
          assert.strictEqual(yield* refusal("10.77.0.5", port), "a node of this cluster")
        assert.isUndefined(yield* refusal("10.77.0.5", 443))
        assert.isUndefined(yield* refusal("10.77.0.6", 8080))
        yield* stop
        assert.isUndefined(yield* refusal("10.77.0.5", 8080))
      }),
  )

  it.scoped("says that the node has ended when it leaves", () =>
    Effect.gen(function* () {
      const { stop } = yield* start("leaving")
      yield* stop
      assert.deepStrictEqual(
        (yield* rows("leaving")).map(({ ended }) => ended),
        [true],
      )
    }),
  )

  it.scoped("bears a time without Postgres, and goes on after it", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const { replaced } = yield* start("patient")
      yield* sql`ALTER TABLE node RENAME TO away`
      assert.strictEqual((yield* Effect.timeoutOption(replaced, "400 millis"))._tag, "None")
      yield* sql`ALTER TABLE away RENAME TO node`
      const [before] = yield* rows("patient")
      yield* until(rows("patient"), ([row]) => (row?.seen.getTime() ?? 0) > (before?.seen.getTime() ?? 0))
    }),
  )
})
