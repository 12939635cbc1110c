/** Connections that break all the time, and streams that nobody waits for any more. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import * as EventStream from "../support/EventStream.ts"
import * as RawClient from "../support/RawClient.ts"
import * as TcpProxy from "../support/TcpProxy.ts"
import { nodesOf, TestCluster } from "../support/TestCluster.ts"
import { until } from "../support/Until.ts"

const MiB = 1024 * 1024

/** Slots that a node has for streams: few, so that one that is not given back shows. */
const maxStreams = 40

const connectionLease = 4

const env = {
  MAX_STREAMS: String(maxStreams),
  MAX_REQUESTS: String(maxStreams),
  // A heap without room for what is left to be collected, so that memory shows what is held.
  NODE_OPTIONS: "--max-old-space-size=128 --max-semi-space-size=2",
  CONNECTION_LEASE: `${connectionLease} seconds`,
}

/** Of commands that are followed for long. */
const input = { wait_ms: 60_000 }

/** What the processes of all nodes hold. */
const heldBy = Effect.map(
  Effect.flatMap(TestCluster, ({ state }) => Effect.orDie(state)),
  ({ nodes }) => ({
    descriptors: nodes.reduce((sum, { pid }) => sum + readdirSync(`/proc/${pid}/fd`).length, 0),
    memory: nodes.reduce(
      (sum, { pid }) =>
        sum + Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024,
      0,
    ),
  }),
)

layer(TestCluster.layer({ nodes: 3, env }), { excludeTestServices: true, timeout: "90 seconds" })(
  "a cluster",
  (it) => {
    it.scoped(
      "tells all that a command of 30 s writes, in order and once, to a client whose connection is cut every second",
      () =>
        Effect.gen(function* () {
          const cluster = yield* TestCluster
          const { follow, listen } = yield* RawClient.open(cluster.mcpUrl, { session: "cut" })
          const balancer = new URL(cluster.mcpUrl)
          const proxy = yield* TcpProxy.make({ host: balancer.hostname, port: Number(balancer.port) })
          const at = `http://127.0.0.1:${proxy.port}`
          const all: Array<EventStream.ServerEvent> = []
          let cuts = 0
          let stream: EventStream.EventStream = yield* follow(
            1,
            "for i in $(seq 600); do echo line $i; sleep 0.045; done",
            { at, input },
          )
          all.push((yield* stream.next)!)
          yield* Effect.forkScoped(
            Effect.zipRight(
              proxy.cut,
              Effect.zipRight(
                proxy.restore,
                Effect.sync(() => cuts++),
              ),
            ).pipe(Effect.delay("1 seconds"), Effect.forever),
          )
          while (all.at(-1)?.id !== "o_1.end.MQ") {
            const event = yield* stream.next
            if (event !== undefined) all.push(event)
            // At whatever node the balancer chooses.
            else stream = yield* listen({ at, after: all.at(-1)!.id! })
          }
          assert.isAtLeast(cuts, 25)
          assert.deepStrictEqual(
            all.map(({ id }) => id),
            [...Array.from({ length: all.length - 1 }, (_, seq) => `o_1.${seq}.MQ`), "o_1.end.MQ"],
          )
          assert.deepStrictEqual(
            RawClient.outputOf(all.slice(0, -1)),
            Array.from({ length: 600 }, (_, index) => `line ${index + 1}\n`).join(""),
          )
          assert.deepInclude(RawClient.messageOf(all.at(-1)!).result?.structuredContent, {
            status: "exited",
            exit_code: 0,
          })
        }),
    )

    it.scoped("holds nothing of 1,000 streams that were opened and abandoned", () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        const urls = (yield* nodesOf(cluster)).map(({ url }) => url)
        const { connection, follow, listen } = yield* RawClient.open(cluster.mcpUrl, {
          session: "abandoned",
        })
        const tell = "while :; do echo tick; sleep 0.25; done"
        const first = yield* follow(1, tell, { at: urls[0]!, input })
        yield* first.next
        yield* first.next
        let streams = 0
        const abandoned = (index: number) => {
          const at = urls[index % 3]!
          const kinds = [follow(1, tell, { at, input }), listen({ at }), listen({ at, after: "o_1.1.MQ" })]
          const open = kinds[Math.floor(index / 3) % 3]!
          // Some are left before, and some after they have begun.
          return Effect.scoped(
            Effect.flatMap(
              Effect.timeoutOption(open, index % 4 === 0 ? "3 millis" : "10 seconds"),
              (stream) =>
                Effect.sync(() => {
                  if (stream._tag === "Some" && stream.value.status === 200) streams++
                }),
            ),
          )
        }
        const round = Effect.forEach(
          Array.from({ length: 250 }, (_, index) => index),
          abandoned,
          {
            concurrency: 20,
            discard: true,
          },
        )
        yield* round
        streams = 0
        const before = yield* heldBy
        const memory: Array<number> = []
        for (let count = 0; count < 4; count++) {
          yield* round
          const { memory: now } = yield* until(heldBy, ({ descriptors }) => descriptors <= before.descriptors)
          memory.push(now)
        }
        assert.isAbove(streams, 700)
        assert.isBelow(Math.max(...memory) - before.memory, 48 * MiB, `${memory.map((bytes) => bytes / MiB)}`)
        // Each node has room for as many as ever, and for none more.
        for (const at of urls) {
          yield* first.cut
          yield* Effect.scoped(
            Effect.gen(function* () {
              const all = yield* Effect.replicateEffect(listen({ at, after: "o_1.1.MQ" }), maxStreams, {
                concurrency: 8,
              })
              assert.isTrue(all.every(({ status }) => status === 200))
              assert.strictEqual((yield* listen({ at, after: "o_1.1.MQ" })).status, 429)
            }),
          )
        }
        // Nobody keeps its lease any more.
        yield* until(
          cluster.sql<{ silence: number }>`
            SELECT extract(epoch FROM now() - seen_at)::float8 AS silence FROM connection WHERE id = ${connection}`,
          (rows) => rows.every(({ silence }) => silence > connectionLease),
        )
      }),
    )
  },
)
