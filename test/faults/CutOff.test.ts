/** A node that cannot reach Postgres for half a minute, nor the other nodes in one case; its clients reach all. */
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as LocalNode from "../../scripts/cluster/LocalNode.ts"
import * as Port from "../../scripts/process/Port.ts"
import { exec } from "../../src/tools/commands/Exec.ts"
import { readFile } from "../../src/tools/files/ReadFile.ts"
import { sessionInfo } from "../../src/tools/sessions/SessionInfo.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import type { TestClient } from "../support/Client.ts"
import * as Leaks from "../support/Leaks.ts"
import { clientOwnedBy, nodesOf, settled, TestCluster } from "../support/TestCluster.ts"
import * as TcpProxy from "../support/TcpProxy.ts"
import * as TestDatabase from "../support/TestDatabase.ts"
import * as TestProgram from "../support/TestProgram.ts"
import { until } from "../support/Until.ts"

/** Milliseconds. */
const cutFor = 30_000

/** What a call may come to that finds its session's owner, or its own node, cut off. */
const typed = ["success", "interrupted", "unavailable", "503"]

/** Starts a node whose ways to Postgres and, both ways, to the other nodes can be cut; gives those ways too. */
const startOnWays = (program: string) =>
  Effect.gen(function* () {
    const cluster = yield* TestCluster
    const { databaseUrl, settings } = yield* Effect.orDie(cluster.state)
    const postgres = yield* TestDatabase.way
    const own = yield* Port.free
    const carried = { inward: 0, outward: 0 }
    const counting = (way: keyof typeof carried) => (data: Buffer) => void (carried[way] += data.length)
    const inward = yield* TcpProxy.make({ host: "127.0.0.1", port: own }, counting("inward"))
    const peers = yield* cluster.sql<{ address: string }>`SELECT address FROM cluster_runners`
    const outward = yield* Effect.forEach(peers, ({ address }) => {
      const port = Number(address.split(":").at(-1))
      return Effect.map(TcpProxy.make({ host: "127.0.0.1", port }, counting("outward")), (proxy) => ({
        port,
        proxy,
      }))
    })
    assert.lengthOf(outward, 2)
    const node = yield* LocalNode.start({
      id: "cut",
      databaseUrl: TestDatabase.through(postgres.port)(databaseUrl),
      settings: {
        ...settings,
        RUNNER_PORT: String(inward.port),
        DETOUR_PORT: String(own),
        DETOURS: JSON.stringify(Object.fromEntries(outward.map(({ port, proxy }) => [port, proxy.port]))),
      },
      runFolder: cluster.runFolder,
      program,
    })
    return { node, postgres, peers: [inward, ...outward.map(({ proxy }) => proxy)], carried }
  })

/** How a call ended: `success`, the code of a failure, or the status of an HTTP answer. It has 60 s. */
const ending = (client: TestClient, command: string, at: string, operationId: string) =>
  client.call(exec, { command }, { at, operationId, within: "60 seconds" }).pipe(
    Effect.map((reply) => (reply._tag === "Output" ? "success" : reply.failure.code)),
    Effect.catchAll(({ status, message }) => Effect.succeed(String(status ?? message))),
  )

const counted = (ends: ReadonlyArray<string>) =>
  [...new Set(ends)].map((end) => `${ends.filter((one) => one === end).length} ${end}`).join(", ")

/** Cuts a node off, with a session of its own at work by the others and by itself, and restores its ways. */
const cutOff = (from: "Postgres" | "Postgres and its peers") =>
  Effect.gen(function* () {
    const cluster = yield* TestCluster
    const nodes = yield* nodesOf(cluster)
    const { carried, node, peers, postgres } = yield* startOnWays(
      yield* TestProgram.make("test/support/detour/main.ts"),
    )
    const ways = from === "Postgres" ? [postgres] : [postgres, ...peers]
    const restore = Effect.forEach(ways, (way) => way.restore, { discard: true })
    yield* Effect.addFinalizer(() => restore)
    const others = nodes.map(({ url }) => url)
    const urls = [...others, node.entry.url]
    yield* settled(urls)
    const client = yield* clientOwnedBy(cluster, "cut")
    yield* client.ask(writeFile, { path: "kept", content: "kept" })
    const running = yield* Effect.fork(ending(client, "echo on > up; sleep 100", others[0]!, "runs"))
    yield* until(
      Effect.orDie(client.call(readFile, { path: "up" }, { at: others[1]! })),
      (reply) => reply._tag === "Output" && reply.output.content.length > 0,
    )
    // All that the node and the others say to each other goes that way.
    const other = yield* clientOwnedBy(cluster, nodes[0]!.id)
    yield* other.ask(sessionInfo, {}, { at: node.entry.url })
    assert.isAbove(carried.inward, 0, "inward")
    assert.isAbove(carried.outward, 0, "outward")

    yield* Effect.forEach(ways, (way) => way.stall, { discard: true })
    const begin = performance.now()
    const ends: Array<{ readonly at: number; readonly took: number; readonly end: string }> = []
    const byItself: Array<string> = []
    const isCut = () => performance.now() - begin < cutFor
    const throughIt = yield* Effect.fork(
      Effect.gen(function* () {
        for (let round = 1; isCut(); round++) {
          byItself.push(yield* ending(client, `echo i${round} >> log`, node.entry.url, `itself-${round}`))
          yield* Effect.sleep("500 millis")
        }
      }),
    )
    for (let round = 1; isCut(); round++) {
      const from = performance.now()
      const end = yield* ending(client, `echo ${round} >> log`, others[round % 2]!, `round-${round}`)
      ends.push({ at: from - begin, took: performance.now() - from, end })
      yield* Effect.sleep("200 millis")
    }
    const first = ends.find(({ end }) => end === "success")
    console.log(
      `cut off from ${from}: first success`,
      first === undefined ? "never" : `after ${Math.round(first.at + first.took)} ms`,
      `longest call ${Math.round(Math.max(...ends.map(({ took }) => took)))} ms;`,
      `through the others ${counted(ends.map(({ end }) => end))};`,
      `through itself ${counted(byItself)}`,
    )
    yield* restore
    yield* Fiber.join(throughIt)
    yield* settled(urls)

    assert.isDefined(first)
    assert.includeMembers(typed, [...ends.map(({ end }) => end), ...byItself])
    assert.strictEqual(yield* Fiber.join(running), "interrupted")
    assert.strictEqual((yield* client.ask(readFile, { path: "kept" })).content, "kept")
    const log = (yield* client.ask(readFile, { path: "log" })).content.trim().split("\n")
    const done = ends.flatMap(({ end }, index) => (end === "success" ? [String(index + 1)] : []))
    const doneByItself = byItself.flatMap((end, index) => (end === "success" ? [`i${index + 1}`] : []))
    assert.includeMembers(log, [...done, ...doneByItself])
    assert.strictEqual(new Set(log).size, log.length, "nothing ran twice")
    for (const url of urls) yield* client.ask(sessionInfo, {}, { at: url })
    yield* node.child.stop
    yield* settled(others)
    yield* Leaks.none(cluster)
  })

layer(TestCluster.layer({ nodes: 2 }), { excludeTestServices: true, timeout: "2 minutes" })(
  "a node that is cut off for 30 s",
  (it) => {
    it.scoped(
      "from Postgres has its sessions go on, and calls end in time, each run once or not at all",
      () => cutOff("Postgres"),
    )

    it.scoped("from Postgres and its peers has its sessions go on elsewhere just so", () =>
      cutOff("Postgres and its peers"),
    )
  },
)
