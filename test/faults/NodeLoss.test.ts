import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { exec } from "../../src/tools/Exec.ts"
import { sessionInfo } from "../../src/tools/SessionInfo.ts"
import { settled, TestCluster } from "../support/TestCluster.ts"
import { until } from "../support/Until.ts"

const rounds = 5

layer(
  TestCluster.layer({
    nodes: 3,
    env: { NODE_EXPIRY: "5 seconds", RECONCILE_INTERVAL: "1 second", RECONCILE_GRACE: "2 seconds" },
  }),
  {
    excludeTestServices: true,
    timeout: "2 minutes",
  },
)("a cluster that loses its session's owner again and again", (it) => {
  it.scoped("keeps the session's id, tells of each loss once, and leaves no container of a dead node", () =>
    Effect.gen(function* () {
      const cluster = yield* TestCluster
      const client = yield* cluster.client()
      const { session_id } = yield* client.ask(sessionInfo, {})
      yield* client.ask(exec, { command: "true" })
      for (let round = 0; round < rounds; round++) {
        const before = yield* client.ask(sessionInfo, {})
        const dead = yield* cluster.incarnation(before.owner_node)
        const killed = performance.now()
        yield* cluster.kill(before.owner_node)
        const lost = yield* client.refused(exec, { command: "true" })
        assert.strictEqual(lost.code, "workspace_lost")
        yield* client.ask(exec, { command: "true" })
        console.log(`kill ${round + 1} to the first success: ${Math.round(performance.now() - killed)} ms`)
        yield* until(cluster.containers, (all) => all.every(({ incarnation }) => incarnation !== dead))
        yield* cluster.addNode(before.owner_node)
        const { nodes } = yield* cluster.state
        yield* settled(nodes.map(({ url }) => url))
        const after = yield* Effect.either(client.ask(sessionInfo, {}))
        assert.strictEqual(after._tag === "Right" ? after.right.session_id : "", session_id)
        yield* Effect.ignore(client.call(exec, { command: "true" }))
        yield* client.ask(exec, { command: "true" })
      }
    }),
  )
})
