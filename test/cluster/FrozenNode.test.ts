/** A node that stands still, as under a debugger or on a machine that swaps, and comes back. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { exec } from "../../src/tools/commands/Exec.ts"
import { readFile } from "../../src/tools/files/ReadFile.ts"
import { sessionInfo } from "../../src/tools/sessions/SessionInfo.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import * as Leaks from "../support/Leaks.ts"
import { nodesOf, settled, TestCluster } from "../support/TestCluster.ts"
import { until } from "../support/Until.ts"

// No other node takes the frozen one for dead, so that what goes of it goes by its own doing; and its look for
// leftovers, which would be due at once when it comes back, does not hide what the session's move leaves behind.
const env = { NODE_EXPIRY: "5 minutes", RECONCILE_INTERVAL: "25 seconds" }

layer(TestCluster.layer({ nodes: 3, env }), { excludeTestServices: true, timeout: "60 seconds" })(
  "a frozen owner",
  (it) => {
    it.scoped(
      "loses its session to another node with its files, and does not disturb it when it comes back",
      () =>
        Effect.gen(function* () {
          const cluster = yield* TestCluster
          const first = yield* nodesOf(cluster)
          const client = yield* cluster.client({ url: `${first[0]?.url}/mcp`, abandon: true })
          const before = yield* client.ask(sessionInfo, {})
          const frozen = before.owner_node
          const incarnation = yield* cluster.incarnation(frozen)
          const others = first.filter(({ id }) => id !== frozen)
          const [at, elsewhere] = [others[0]?.url ?? "", others[1]?.url ?? ""]
          yield* client.ask(writeFile, { path: "old.txt", content: "old" }, { at })
          const running = yield* Effect.fork(
            client.call(exec, { command: "echo on > up; sleep 100" }, { at, operationId: "frozen" }),
          )
          yield* until(
            Effect.orDie(client.call(readFile, { path: "up" }, { at: elsewhere })),
            (reply) => reply._tag === "Output" && reply.output.content.length > 0,
          )
          const containers = yield* cluster.containers
          assert.deepStrictEqual(
            containers.map((container) => container.incarnation),
            [incarnation],
          )

          const started = performance.now()
          const since = () => Math.round(performance.now() - started)
          yield* cluster.freeze(frozen)
          yield* Effect.gen(function* () {
            const found = yield* client.ask(exec, { command: "ls -A" }, { at: elsewhere })
            assert.strictEqual(found.stdout, "old.txt\n")
            yield* client.ask(writeFile, { path: "new.txt", content: "new" }, { at })
            console.log(`freeze to the first success elsewhere: ${since()} ms`)
            assert.isBelow(since(), 25_000)
            const reply = yield* running
            assert.strictEqual(reply._tag === "Refused" ? reply.failure.code : "success", "interrupted")
          }).pipe(Effect.ensuring(Effect.orDie(cluster.thaw(frozen))))

          // Its shards go back to the thawed node, and the session with them, with the files that it has by now: never
          // those that the thawed node held before. Until that node has noticed, it may still describe the session as it
          // was.
          yield* until(
            Effect.orDie(client.call(sessionInfo, {}, { at })),
            (reply) =>
              reply._tag === "Output" &&
              reply.output.owner_node === frozen &&
              reply.output.epoch > before.epoch + 1,
          )
          yield* settled(first.map(({ url }) => url))
          assert.strictEqual((yield* client.ask(readFile, { path: "new.txt" }, { at })).content, "new")
          for (const { url } of first) {
            const found = yield* client.ask(exec, { command: "ls -A" }, { at: url })
            assert.strictEqual(found.stdout, "new.txt\nold.txt\n")
          }

          // Whatever it still did for the call that was interrupted is refused, and what it held is removed.
          const rows = yield* cluster.sql`
          SELECT state, outcome IS NULL AS unwritten FROM operation WHERE id = 'frozen'`
          assert.deepStrictEqual(rows, [{ state: "interrupted", unwritten: true }])
          const again = yield* client.refused(
            exec,
            { command: "echo on > up; sleep 100" },
            { at, operationId: "frozen" },
          )
          assert.strictEqual(again.code, "interrupted")
          yield* until(cluster.containers, (all) => !all.some(({ id }) => id === containers[0]?.id))
          console.log(`freeze to the removal of its container: ${since()} ms`)
          yield* Leaks.none(cluster)
        }),
    )
  },
)
