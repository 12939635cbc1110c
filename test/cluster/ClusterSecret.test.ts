/** Nodes that share a secret and reach each other beyond loopback, as those of several machines do. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { connect } from "node:net"
import { networkInterfaces } from "node:os"
import { exec } from "../../src/tools/commands/Exec.ts"
import { sessionInfo } from "../../src/tools/sessions/SessionInfo.ts"
import { nodesOf, settled, TestCluster } from "../support/TestCluster.ts"

/** An address of this machine that is not loopback. */
const address =
  Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? "none"

const [old, fresh] = ["a", "b"].map((letter) => letter.repeat(32))
const secrets = (...all: ReadonlyArray<string | undefined>) => ({ CLUSTER_SECRET: all.join(",") })

layer(TestCluster.layer({ nodes: 3, env: { ...secrets(old), RUNNER_HOST: address } }), {
  excludeTestServices: true,
  timeout: "90 seconds",
})("a cluster with a secret", (it) => {
  /** Asks for a session through each node in turn, whoever owns it. */
  const works = Effect.gen(function* () {
    const cluster = yield* TestCluster
    const nodes = yield* nodesOf(cluster)
    yield* settled(nodes.map(({ url }) => url))
    const client = yield* cluster.client()
    for (const { url } of nodes) yield* client.ask(exec, { command: "echo here >> log" }, { at: url })
    const infos = yield* Effect.forEach(nodes, ({ url }) => client.ask(sessionInfo, {}, { at: url }))
    assert.strictEqual(new Set(infos.map(({ edge_node }) => edge_node)).size, 3)
    assert.strictEqual(new Set(infos.map(({ owner_node }) => owner_node)).size, 1)
    assert.strictEqual((yield* client.ask(exec, { command: "wc -l < log" })).stdout.trim(), "3")
  }).pipe(Effect.scoped)

  it.effect("serves a session through every node", () => works)

  it.effect("says nothing to a stranger, and goes on", () =>
    Effect.gen(function* () {
      const { sql } = yield* TestCluster
      const runners = yield* sql<{ address: string }>`SELECT address FROM cluster_runners`
      assert.strictEqual(runners.length, 3)
      for (const runner of runners) {
        const [host, port] = [runner.address.split(":").at(0), Number(runner.address.split(":").at(-1))]
        assert.strictEqual(host, address)
        const said = yield* Effect.async<string>((resume) => {
          const socket = connect({ host, port })
          let said = ""
          socket.setEncoding("latin1").on("data", (data: string) => (said += data))
          socket.on("error", () => undefined).once("close", () => resume(Effect.succeed(said)))
          socket.write("GET / HTTP/1.1\r\n\r\n".repeat(100))
        })
        // No more than TLS's own word that this is no handshake.
        assert.isBelow(said.length, 16)
      }
      yield* works
    }),
  )

  it.effect(
    "changes its secret node by node, and serves all the time",
    () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        for (const step of [secrets(old, fresh), secrets(fresh, old), secrets(fresh)]) {
          for (const { id } of yield* nodesOf(cluster)) {
            yield* Effect.orDie(cluster.stop(id))
            yield* Effect.orDie(cluster.addNode(id, step))
          }
          yield* works
        }
        const late = yield* Effect.flip(cluster.addNode("node-late", secrets(old)))
        assert.match(late.message, /CLUSTER_SECRET/)
      }),
    { timeout: 180_000 },
  )
})
