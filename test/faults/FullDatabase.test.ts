/** Postgres without room on its disk. */
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Layer } from "effect"
import { join } from "node:path"
import * as EmbeddedPostgres from "../../scripts/setup/EmbeddedPostgres.ts"
import { exec } from "../../src/tools/commands/Exec.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import * as Leaks from "../support/Leaks.ts"
import * as Mount from "../support/Mount.ts"
import { nodesOf, readiness, settled, TestCluster } from "../support/TestCluster.ts"
import { until } from "../support/Until.ts"

/** MiB: what Postgres needs to begin with, and some room. */
const room = 224

/** Calls that are made while there is none. */
const rounds = 24

/** A cluster on a Postgres of its own. */
const clusterAt = (url: string) => {
  const given = ConfigProvider.fromMap(new Map([["TEST_DATABASE_URL", url]]))
  const config = ConfigProvider.orElse(given, () => ConfigProvider.fromEnv())
  const cluster = TestCluster.layer({ nodes: 2 }).pipe(Layer.provide(Layer.setConfigProvider(config)))
  return Effect.map(Layer.build(cluster), Context.get(TestCluster))
}

describe("Postgres", () => {
  const whereAble = Mount.able ? it.scopedLive : it.scopedLive.skip

  whereAble("whose disk is full has calls say so, and costs nothing that was acknowledged", () =>
    Effect.gen(function* () {
      const disk = yield* Mount.make(room)
      const postgres = yield* EmbeddedPostgres.start(join(disk.folder, "postgres"))
      const cluster = yield* clusterAt(postgres.url)
      const nodes = yield* nodesOf(cluster)
      const client = yield* cluster.client()
      yield* client.ask(writeFile, { path: "kept", content: "kept" })
      /** What is to be there in the end, by its name. */
      const acknowledged = new Map<string, string>()
      const ends: Array<string> = []
      /** A megabyte that does not shrink. */
      const makes = (name: string, at?: string) =>
        client
          .call(
            exec,
            { command: `head -c 1000000 /dev/urandom > ${name}; sha256sum < ${name}` },
            at === undefined ? { operationId: name } : { operationId: name, at },
          )
          .pipe(
            Effect.map((reply) => {
              if (reply._tag === "Refused") return reply.failure.code
              const { checkpoint, stdout } = reply.output
              if (checkpoint.state === "saved") acknowledged.set(name, stdout)
              return checkpoint.state === "failed" ? `failed: ${checkpoint.reason}` : checkpoint.state
            }),
            Effect.catchAll(({ status, message }) => Effect.succeed(String(status ?? message))),
          )
      assert.strictEqual(yield* makes("before"), "saved")

      yield* disk.fill
      for (let round = 0; round < rounds; round++) {
        ends.push(yield* makes(`during-${round}`, nodes[round % 2]?.url))
      }
      console.log(`while it is full: ${[...new Set(ends)].join("; ")}`)
      for (const end of ends) {
        assert.match(end, /^(saved|pending|failed: .+|unavailable|interrupted|workspace_lost|503)$/)
      }
      assert.isTrue(ends.some((end) => end !== "saved"))

      yield* disk.free
      const freed = performance.now()
      for (const { url } of nodes) yield* until(readiness(url), ({ ready }) => ready, "1 minute")
      yield* settled(nodes.map(({ url }) => url))
      let tried = 0
      const next = Effect.suspend(() => makes(`after-${tried++}`))
      yield* until(next, (end) => end === "saved", "30 seconds")
      console.log(`there is room: saved after ${Math.round(performance.now() - freed)} ms`)
      yield* cluster.removeContainers
      for (const [name, hash] of acknowledged) {
        const { stdout } = yield* client.ask(exec, { command: `sha256sum < ${name}` })
        assert.strictEqual(stdout, hash, name)
      }
      assert.strictEqual((yield* client.ask(exec, { command: "cat kept" })).stdout, "kept")
      yield* Leaks.none(cluster)
    }),
  )
})
