/** Nodes join and leave on purpose, one after the other, while sessions are at work: nobody notices but by the clock. */
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Ref } from "effect"
import { exec } from "../../src/tools/commands/Exec.ts"
import { readFile } from "../../src/tools/files/ReadFile.ts"
import { sessionInfo } from "../../src/tools/sessions/SessionInfo.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import * as Leaks from "../support/Leaks.ts"
import { clientOwnedBy, nodesOf, readiness, settled, TestCluster } from "../support/TestCluster.ts"
import { until } from "../support/Until.ts"

const workers = 20

type Client = Effect.Effect.Success<ReturnType<TestCluster["Type"]["client"]>>

/** Writes a numbered file, reads it by a command, and again, until it is done; each call has to succeed. */
const worker = (client: Client, done: Ref.Ref<boolean>, took: Array<number>) =>
  Effect.gen(function* () {
    const timed = <A, E, R>(call: Effect.Effect<A, E, R>) =>
      Effect.suspend(() => {
        const begin = performance.now()
        return Effect.tap(call, () => Effect.sync(() => took.push(performance.now() - begin)))
      })
    let round = 0
    while (!(yield* Ref.get(done))) {
      const content = String(++round)
      const written = yield* timed(client.ask(writeFile, { path: `${round % 5}`, content }))
      assert.deepInclude(written.checkpoint, { state: "saved" })
      const { stdout } = yield* timed(client.ask(exec, { command: `cat ${round % 5}; echo ${round} >> log` }))
      assert.strictEqual(stdout, content)
    }
    const { content } = yield* client.ask(readFile, { path: "log" })
    assert.deepStrictEqual(
      content.trim().split("\n"),
      Array.from({ length: round }, (_, index) => String(index + 1)),
    )
  })

/** Does something while sessions are at work; prints what their calls took. */
const underLoad = <A, E, R>(what: string, change: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const cluster = yield* TestCluster
    const done = yield* Ref.make(false)
    const took: Array<number> = []
    const clients = yield* Effect.replicateEffect(cluster.client(), workers)
    const busy = yield* Effect.fork(
      Effect.forEach(clients, (client) => worker(client, done, took), { concurrency: workers }),
    )
    yield* until(
      Effect.sync(() => took.length),
      (calls) => calls > 4 * workers,
    )
    const changing = Effect.zipLeft(change, Ref.set(done, true))
    const result = yield* Effect.raceFirst(changing, Effect.zipRight(Fiber.join(busy), Effect.never))
    yield* Fiber.join(busy)
    const sorted = took.toSorted((a, b) => a - b)
    const at = (part: number) => Math.round(sorted[Math.floor((sorted.length - 1) * part)]!)
    console.log(
      `${what}: ${sorted.length} calls, none failed; ms p50 ${at(0.5)}, p95 ${at(0.95)}, max ${at(1)}`,
    )
    return result
  })

/** Has a node join while each of these runs a command of 7 s; tells how many then belong to it. */
const joins = (cluster: TestCluster["Type"], clients: ReadonlyArray<Client>) =>
  Effect.gen(function* () {
    const running = yield* Effect.fork(
      Effect.forEach(
        clients,
        (client) => client.ask(exec, { command: "sleep 7; echo whole | tee b; cat a" }),
        { concurrency: "unbounded" },
      ),
    )
    yield* Effect.sleep("1 second")
    const joined = yield* cluster.addNode()
    yield* settled((yield* nodesOf(cluster)).map(({ url }) => url))
    for (const { exit_code, stdout } of yield* Fiber.join(running)) {
      assert.deepStrictEqual({ exit_code, stdout }, { exit_code: 0, stdout: "whole\na" })
    }
    const owners = yield* Effect.forEach(clients, (client) =>
      Effect.map(client.ask(sessionInfo, {}), ({ owner_node }) => owner_node),
    )
    const moved = owners.filter((owner) => owner === joined).length
    console.log(`${moved} of ${owners.length} sessions moved to ${joined} after their commands`)
    return moved
  })

layer(TestCluster.layer({ nodes: 3, env: { DRAIN_TIMEOUT: "10 seconds" } }), {
  excludeTestServices: true,
  timeout: "3 minutes",
})("a cluster at work", (it) => {
  it.scoped("takes in a node that joins, and leaves it what runs only once it has ended", () =>
    Effect.gen(function* () {
      const cluster = yield* TestCluster
      yield* underLoad(
        "a node joins",
        Effect.gen(function* () {
          const clients = yield* Effect.replicateEffect(cluster.client(), 16, { concurrency: 4 })
          for (const client of clients) yield* client.ask(writeFile, { path: "a", content: "a" })
          // Chance may give a node that joins none of them.
          for (let joined = 0, moved = 0; moved === 0; joined++) {
            assert.isBelow(joined, 3)
            moved = yield* joins(cluster, clients)
          }
        }),
      )
    }),
  )

  it.scoped("restarts node by node, and no command of less than DRAIN_TIMEOUT is interrupted", () =>
    Effect.gen(function* () {
      const cluster = yield* TestCluster
      yield* underLoad(
        "all nodes restart in turn",
        Effect.gen(function* () {
          for (const { id, url } of yield* nodesOf(cluster)) {
            const client = yield* clientOwnedBy(cluster, id)
            const running = yield* Effect.fork(client.ask(exec, { command: "sleep 5; echo whole | tee b" }))
            yield* Effect.sleep("500 millis")
            const stopping = yield* Effect.fork(cluster.stop(id))
            yield* until(readiness(url), ({ status }) => status === 503)
            const { exit_code, stdout } = yield* Fiber.join(running)
            assert.deepStrictEqual({ exit_code, stdout }, { exit_code: 0, stdout: "whole\n" })
            yield* Fiber.join(stopping)
            assert.strictEqual((yield* client.ask(readFile, { path: "b" })).content, "whole\n")
            yield* cluster.addNode(id)
            yield* settled((yield* nodesOf(cluster)).map(({ url }) => url))
          }
        }),
      )
      const running = yield* cluster.sql`SELECT 1 FROM operation WHERE state = 'running'`
      assert.lengthOf(running, 0)
    }),
  )

  it.scoped("loses a node that leaves for good, interrupts what runs for longer, and leaves nothing", () =>
    Effect.gen(function* () {
      const cluster = yield* TestCluster
      yield* underLoad(
        "a node leaves",
        Effect.gen(function* () {
          const [first, ...others] = yield* nodesOf(cluster)
          const last = others.at(-1)
          const client = yield* clientOwnedBy(cluster, last!.id)
          const gone = yield* cluster.incarnation(last!.id)
          // One is waited for at the node that leaves, one at another.
          const running = yield* Effect.fork(
            Effect.forEach(
              [last!.url, first!.url],
              (at, index) =>
                client.refused(
                  exec,
                  { command: `echo begun > c${index}; sleep 100`, wait_ms: 60_000 },
                  { at },
                ),
              { concurrency: "unbounded" },
            ),
          )
          yield* Effect.sleep("500 millis")
          const begin = performance.now()
          yield* cluster.stop(last!.id)
          console.log(
            `SIGTERM to the end, with a command that runs on: ${Math.round(performance.now() - begin)} ms`,
          )
          const codes = (yield* Fiber.join(running)).map(({ code }) => code)
          assert.deepStrictEqual(codes, ["interrupted", "interrupted"])
          for (const path of ["c0", "c1"]) {
            assert.strictEqual((yield* client.ask(readFile, { path })).content, "begun\n")
          }
          assert.deepStrictEqual(
            (yield* cluster.containers).filter(({ incarnation }) => incarnation === gone),
            [],
          )
        }),
      )
      yield* Leaks.none(cluster)
    }),
  )
})
