/** Postgres out of the nodes' reach for a while: calls say so, nothing hangs, and nodes recover by themselves. */
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Schedule } from "effect"
import { exec } from "../../src/tools/commands/Exec.ts"
import { readFile } from "../../src/tools/files/ReadFile.ts"
import { sessionInfo } from "../../src/tools/sessions/SessionInfo.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import type { TestClient } from "../support/Client.ts"
import * as Leaks from "../support/Leaks.ts"
import { clientOwnedBy, nodesOf, readiness, TestCluster } from "../support/TestCluster.ts"
import type * as TcpProxy from "../support/TcpProxy.ts"
import * as TestDatabase from "../support/TestDatabase.ts"
import { until } from "../support/Until.ts"

/** The nodes' way to Postgres. */
class Way extends Context.Tag("codegen-mcp/test/Way")<Way, TcpProxy.TcpProxy>() {
  static readonly layer = Layer.scoped(Way, TestDatabase.way)
}

const cluster = Layer.unwrapEffect(
  Effect.map(Way, ({ port }) => TestCluster.layer({ nodes: 2, nodesReach: TestDatabase.through(port) })),
).pipe(Layer.provideMerge(Way.layer))

/** How a call ended, within 20 s: `success`, the code of a failure, or the status of an HTTP answer. */
const ending = (client: TestClient, at: string) =>
  client.call(exec, { command: "echo x >> log" }, { at, within: "20 seconds" }).pipe(
    Effect.map((reply) => (reply._tag === "Output" ? "success" : reply.failure.code)),
    Effect.catchAll(({ status, message }) => Effect.succeed(String(status ?? message))),
  )

/** Through each node, again and again until this time is over; what came of it. */
const meanwhile = (clients: ReadonlyArray<TestClient>, time: "3 seconds" | "12 seconds") =>
  Effect.gen(function* () {
    const nodes = yield* nodesOf(yield* TestCluster)
    const seen: Array<string> = []
    const round = Effect.forEach(
      clients.flatMap((client) => nodes.map(({ url }) => ({ client, url }))),
      ({ client, url }) => Effect.map(ending(client, url), (end) => void seen.push(end)),
      { concurrency: "unbounded", discard: true },
    )
    yield* Effect.repeat(round, Schedule.spaced("200 millis").pipe(Schedule.upTo(time)))
    return new Set(seen)
  })

/** Waits until every node says, with this status, whether Postgres answers it. */
const allSay = (postgres: boolean) =>
  Effect.gen(function* () {
    const nodes = yield* nodesOf(yield* TestCluster)
    for (const { url } of nodes) {
      const { status } = yield* until(
        readiness(url),
        (state) => state.postgres === postgres && state.ready === postgres,
      )
      assert.strictEqual(status, postgres ? 200 : 503)
    }
  })

/** A client of each node's own session, with a file in it; the way to Postgres is open again when the test ends. */
const withFile = (path: string, content: string) =>
  Effect.gen(function* () {
    const cluster = yield* TestCluster
    const way = yield* Way
    yield* Effect.addFinalizer(() => way.restore)
    const nodes = yield* nodesOf(cluster)
    const clients = [yield* clientOwnedBy(cluster, "node-1"), yield* clientOwnedBy(cluster, "node-2")]
    for (const client of clients) yield* client.ask(writeFile, { path, content })
    return { cluster, way, nodes, clients }
  })

layer(cluster, { excludeTestServices: true, timeout: "60 seconds" })("Postgres", (it) => {
  it.scoped(
    "that is cut off for 3 s costs no file and no running command, and sessions stay on their nodes",
    () =>
      Effect.gen(function* () {
        const { cluster, way, nodes, clients } = yield* withFile("kept.txt", "kept")
        const owners = yield* Effect.forEach(clients, (client) => client.ask(sessionInfo, {}))
        const containers = yield* cluster.containers
        const running = yield* Effect.fork(
          Effect.forEach(
            clients,
            (client, n) =>
              client.call(
                exec,
                { command: "echo on > up; sleep 6; echo survived | tee end" },
                { at: nodes[n]?.url ?? "", operationId: "during-the-outage" },
              ),
            { concurrency: 2 },
          ),
        )
        for (const client of clients) {
          yield* until(
            Effect.orDie(client.call(readFile, { path: "up" })),
            (reply) => reply._tag === "Output" && reply.output.content.length > 0,
          )
        }

        yield* way.cut
        yield* allSay(false)
        const refusal = yield* Effect.flip(Effect.scoped(cluster.client({ url: `${nodes[0]?.url}/mcp` })))
        assert.include(refusal.message, "Postgres does not answer")
        const seen = yield* meanwhile(clients, "3 seconds")
        yield* way.restore
        assert.deepStrictEqual(
          [...seen].filter((end) => !["503", "unavailable", "success"].includes(end)),
          [],
        )
        assert.isTrue(seen.has("503") || seen.has("unavailable"))

        const restored = performance.now()
        yield* allSay(true)
        for (const client of clients) {
          for (const { url } of nodes) {
            assert.strictEqual(
              (yield* client.ask(readFile, { path: "kept.txt" }, { at: url })).content,
              "kept",
            )
            yield* client.ask(exec, { command: "true" }, { at: url })
          }
        }
        console.log(`cut for 3 s: all works ${Math.round(performance.now() - restored)} ms after it ended`)
        assert.deepStrictEqual(
          (yield* running).map((reply) =>
            reply._tag === "Output" ? reply.output.stdout : reply.failure.code,
          ),
          ["survived\n", "survived\n"],
        )
        const after = yield* Effect.forEach(clients, (client) => client.ask(sessionInfo, {}))
        assert.deepStrictEqual(
          after.map((info) => [info.session_id, info.owner_node]),
          owners.map((info) => [info.session_id, info.owner_node]),
        )
        assert.sameDeepMembers([...(yield* cluster.containers)], [...containers])
        yield* Leaks.none(cluster)
      }),
  )

  it.scoped(
    "that is silent for longer than the shards' locks last is waited for, and then all works again",
    () =>
      Effect.gen(function* () {
        const { cluster, way, nodes, clients } = yield* withFile("a.txt", "a")

        yield* way.stall
        yield* allSay(false)
        const seen = yield* meanwhile(clients, "12 seconds")
        yield* way.restore
        assert.deepStrictEqual(
          [...seen].filter((end) => !["503", "unavailable", "success"].includes(end)),
          [],
        )

        const restored = performance.now()
        yield* allSay(true)
        for (const client of clients) {
          // Nobody else could have taken the session over, but its node may have given it up.
          for (const { url } of nodes) yield* ending(client, url)
          for (const { url } of nodes) yield* client.ask(exec, { command: "true" }, { at: url })
        }
        console.log(
          `silent for 12 s: all works ${Math.round(performance.now() - restored)} ms after it ended`,
        )
        yield* clientOwnedBy(cluster, "node-1")
        yield* clientOwnedBy(cluster, "node-2")
        yield* Leaks.none(cluster)
      }),
  )
})
