/** A node that cannot reach Postgres for half a minute, while its clients and the other nodes reach both. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as LocalNode from "../../scripts/cluster/LocalNode.ts"
import { exec } from "../../src/tools/commands/Exec.ts"
import { readFile } from "../../src/tools/files/ReadFile.ts"
import { sessionInfo } from "../../src/tools/sessions/SessionInfo.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import { clientOwnedBy, nodesOf, settled, TestCluster } from "../support/TestCluster.ts"
import * as TestDatabase from "../support/TestDatabase.ts"

layer(TestCluster.layer({ nodes: 2 }), { excludeTestServices: true, timeout: "2 minutes" })(
  "a node that Postgres does not hear for 30 s",
  (it) => {
    it.scoped(
      "has its sessions go on with their files, and calls end in time, each run once or not at all",
      () =>
        Effect.gen(function* () {
          const cluster = yield* TestCluster
          const nodes = yield* nodesOf(cluster)
          const state = yield* Effect.orDie(cluster.state)
          const way = yield* TestDatabase.way
          const cut = yield* LocalNode.start({
            id: "cut",
            databaseUrl: TestDatabase.through(way.port)(state.databaseUrl),
            settings: state.settings,
            runFolder: cluster.runFolder,
          })
          yield* Effect.addFinalizer(() => way.restore)
          const urls = [...nodes.map(({ url }) => url), cut.entry.url]
          yield* settled(urls)
          const client = yield* clientOwnedBy(cluster, "cut")
          yield* client.ask(writeFile, { path: "kept", content: "kept" })

          yield* way.stall
          const begin = performance.now()
          const ends: Array<{ readonly at: number; readonly took: number; readonly end: string }> = []
          let round = 0
          while (performance.now() - begin < 30_000) {
            const from = performance.now()
            const end = yield* client
              .call(
                exec,
                { command: `echo ${++round} >> log` },
                { at: urls[round % 2]!, operationId: `round-${round}`, within: "60 seconds" },
              )
              .pipe(
                Effect.map((reply) => (reply._tag === "Output" ? "success" : reply.failure.code)),
                Effect.catchAll(({ status, message }) => Effect.succeed(String(status ?? message))),
              )
            ends.push({ at: from - begin, took: performance.now() - from, end })
            yield* Effect.sleep("200 millis")
          }
          const first = ends.find(({ end }) => end === "success")
          console.log(
            `first success ${first === undefined ? "none" : Math.round(first.at + first.took)} ms after the cut;`,
            `longest call ${Math.round(Math.max(...ends.map(({ took }) => took)))} ms;`,
            JSON.stringify(
              ends.reduce<Record<string, number>>(
                (all, { end }) => ({ ...all, [end]: (all[end] ?? 0) + 1 }),
                {},
              ),
            ),
          )
          yield* way.restore
          yield* settled(urls)
          assert.strictEqual((yield* client.ask(readFile, { path: "kept" })).content, "kept")
          const done = ends.flatMap(({ end }, index) => (end === "success" ? [String(index + 1)] : []))
          const log = yield* client.call(readFile, { path: "log" })
          const lines = log._tag === "Output" ? log.output.content.trim().split("\n") : []
          assert.includeMembers(lines, done)
          assert.strictEqual(new Set(lines).size, lines.length, "nothing ran twice")
          for (const url of urls) yield* client.ask(sessionInfo, {}, { at: url })
          yield* cut.child.stop
        }),
    )
  },
)
