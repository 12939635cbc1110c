/** HAProxy, as the README sets it up, in front of three nodes. */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { sessionInfo } from "../../src/tools/sessions/SessionInfo.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import { exec } from "../../src/tools/commands/Exec.ts"
import * as EventStream from "../support/EventStream.ts"
import * as Haproxy from "../support/Haproxy.ts"
import * as Http from "../support/Http.ts"
import * as RawClient from "../support/RawClient.ts"
import { nodesOf, TestCluster } from "../support/TestCluster.ts"

const missing = await Effect.runPromise(Haproxy.missing)
if (missing !== undefined) console.warn(`HAProxy is not tested: ${missing}`)

const balanced = Effect.gen(function* () {
  const cluster = yield* TestCluster
  const nodes = yield* nodesOf(cluster)
  const url = `${yield* Haproxy.start(nodes.map(({ url }) => url))}/mcp`
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

describe.skipIf(missing !== undefined)("behind HAProxy", () => {
  layer(TestCluster.layer({ nodes: 3 }), { excludeTestServices: true, timeout: "90 seconds" })((it) => {
    it.scoped("calls of one client go to all nodes in turn", () =>
      Effect.gen(function* () {
        const { client } = yield* balanced
        for (let count = 0; count < 9; count++) yield* client.ask(exec, { command: "echo run >> runs" })
        assert.strictEqual(new Set(client.nodes).size, 3)
        assert.include(yield* client.ask(exec, { command: "wc -l < runs" }), { stdout: "9\n" })
      }),
    )

    it.scoped("output comes while its command runs", () =>
      Effect.gen(function* () {
        const { client, follow } = yield* balanced
        const stream = yield* follow(1, "echo first; until [ -f go ]; do sleep 0.05; done; echo second")
        const events = [yield* stream.next]
        while (!RawClient.outputOf(events.map((event) => event!)).includes("first"))
          events.push(yield* stream.next)
        yield* client.ask(writeFile, { path: "go", content: "" })
        assert.include(RawClient.outputOf(yield* EventStream.rest(stream)), "second\n")
      }),
    )

    // The last one: a node dies.
    it.scoped("a stream whose node is killed goes on through another: all of it, once", () =>
      Effect.gen(function* () {
        const { client, cluster, follow, resume } = yield* balanced
        const { owner_node } = yield* client.ask(sessionInfo, {})
        const command = "echo run >> runs; for i in $(seq 40); do echo $i; sleep 0.1; done"
        const elsewhere = (id: number): ReturnType<typeof follow> =>
          Effect.flatMap(follow(id, id === 1 ? command : `rm -f runs; ${command}`), (stream) =>
            stream.node === owner_node ? elsewhere(id + 1) : Effect.succeed(stream),
          )
        const stream = yield* elsewhere(1)
        const events: Array<EventStream.ServerEvent> = []
        while (!RawClient.outputOf(events).includes("5\n")) events.push((yield* stream.next)!)
        yield* cluster.kill(stream.node)
        for (let event = yield* stream.next; event !== undefined; event = yield* stream.next)
          events.push(event)
        events.push(...(yield* EventStream.rest(yield* resume(events.at(-1)!.id!))))
        const numbers = Array.from({ length: 40 }, (_, index) => `${index + 1}\n`).join("")
        assert.strictEqual(RawClient.outputOf(events), numbers)
        assert.deepInclude(RawClient.messageOf(events.at(-1)!).result?.structuredContent, { stdout: numbers })
        assert.include(yield* client.ask(exec, { command: "wc -l < runs" }), { stdout: "1\n" })
      }),
    )
  })

  it.scopedLive("a request that a node saw, and did not answer, is not repeated", () =>
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
      const url = yield* Haproxy.start(yield* Effect.all([dying, dying, dying]))
      const { status } = yield* Http.send(`${url}/mcp`, { method: "POST", body: "{}" })
      assert.deepStrictEqual([status, seen], [502, 1])
    }),
  )
})
