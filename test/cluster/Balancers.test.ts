/** HAProxy and nginx, set up as the project shows it, in front of three nodes. */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { sessionInfo } from "../../src/tools/sessions/SessionInfo.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import { exec } from "../../src/tools/commands/Exec.ts"
import * as EventStream from "../support/EventStream.ts"
import * as Balancer from "../support/Balancer.ts"
import * as Http from "../support/Http.ts"
import * as RawClient from "../support/RawClient.ts"
import { nodesOf, TestCluster } from "../support/TestCluster.ts"

const present = await Effect.runPromise(Balancer.present)

const balanced = Effect.fn(function* (balancer: Balancer.Balancer) {
  const cluster = yield* TestCluster
  const nodes = yield* nodesOf(cluster)
  const url = `${yield* Balancer.start(
    balancer,
    nodes.map(({ url }) => url),
  )}/mcp`
  const client = yield* cluster.client({ url })
  const raw = RawClient.of(url, client.connection, { "mcp-protocol-version": "2025-11-25" })
  // As a client that names no operation.
  const follow = (id: number, command: string) =>
    raw.stream({
      id,
      method: "tools/call",
      params: { name: "exec", arguments: { command }, _meta: { progressToken: "p" } },
    })
  const resume = (after: string): ReturnType<typeof raw.listen> =>
    Effect.flatMap(raw.listen({ after }), (stream) =>
      stream.status === 200 ? Effect.succeed(stream) : resume(after),
    )
  return { cluster, client, follow, resume }
})

describe.skipIf(present.length === 0)("behind a balancer", () => {
  layer(TestCluster.layer({ nodes: 3 }), { excludeTestServices: true, timeout: "90 seconds" })((it) => {
    for (const balancer of present) {
      const { name } = balancer
      it.scoped(`${name}: calls of one client go to all nodes in turn`, () =>
        Effect.gen(function* () {
          const { client } = yield* balanced(balancer)
          for (let count = 0; count < 9; count++) yield* client.ask(exec, { command: "echo run >> runs" })
          assert.strictEqual(new Set(client.nodes).size, 3)
          assert.include(yield* client.ask(exec, { command: "wc -l < runs" }), { stdout: "9\n" })
        }),
      )

      it.scoped(`${name}: output comes while its command runs`, () =>
        Effect.gen(function* () {
          const { client, follow } = yield* balanced(balancer)
          const stream = yield* follow(1, "echo first; until [ -f go ]; do sleep 0.05; done; echo second")
          const events = [yield* stream.next]
          while (!RawClient.outputOf(events.map((event) => event!)).includes("first"))
            events.push(yield* stream.next)
          yield* client.ask(writeFile, { path: "go", content: "" })
          assert.include(RawClient.outputOf(yield* EventStream.rest(stream)), "second\n")
        }),
      )
    }

    // The last ones: a node dies of each.
    for (const balancer of present) {
      const { name } = balancer
      it.scoped(`${name}: a stream whose node is killed goes on through another: all of it, once`, () =>
        Effect.gen(function* () {
          const { client, cluster, follow, resume } = yield* balanced(balancer)
          const { owner_node } = yield* client.ask(sessionInfo, {})
          // One that came to the owner runs on beside.
          let id = 0
          const elsewhere: ReturnType<typeof follow> = Effect.suspend(() => {
            id++
            const command = `echo run >> runs${id}; for i in $(seq 40); do echo $i; sleep 0.1; done`
            return Effect.flatMap(follow(id, command), (stream) =>
              stream.node === owner_node ? elsewhere : Effect.succeed(stream),
            )
          })
          const stream = yield* elsewhere
          const events: Array<EventStream.ServerEvent> = []
          while (!RawClient.outputOf(events).includes("5\n")) events.push((yield* stream.next)!)
          yield* cluster.kill(stream.node)
          for (let event = yield* stream.next; event !== undefined; event = yield* stream.next)
            events.push(event)
          events.push(...(yield* EventStream.rest(yield* resume(events.at(-1)!.id!))))
          const numbers = Array.from({ length: 40 }, (_, index) => `${index + 1}\n`).join("")
          assert.strictEqual(RawClient.outputOf(events), numbers)
          assert.deepInclude(RawClient.messageOf(events.at(-1)!).result?.structuredContent, {
            stdout: numbers,
          })
          assert.include(yield* client.ask(exec, { command: `wc -l < runs${id}` }), { stdout: "1\n" })
        }),
      )
    }
  })

  for (const balancer of present) {
    const { name } = balancer
    it.scopedLive(`${name}: a request that a node saw, and did not answer, is not repeated`, () =>
      Effect.gen(function* () {
        let seen = 0
        const dying = Effect.map(
          Effect.acquireRelease(
            Effect.async<ReturnType<typeof createServer>>((resume) => {
              const server = createServer((request, response) => {
                if (request.method === "GET") return void response.end()
                seen++
                request.resume().once("end", () => request.socket.destroy())
              })
              server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
            }),
            (server) => Effect.sync(() => void server.close().closeAllConnections()),
          ),
          (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        )
        const url = yield* Balancer.start(balancer, yield* Effect.all([dying, dying, dying]))
        const { status } = yield* Http.send(`${url}/mcp`, { method: "POST", body: "{}" })
        assert.deepStrictEqual([status, seen], [502, 1])
      }),
    )
  }
})
