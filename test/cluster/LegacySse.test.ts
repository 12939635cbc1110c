/** Clients that know only HTTP+SSE, behind a balancer that sends each of their messages to another node. */
import { assert, layer } from "@effect/vitest"
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js"
import { Effect, Fiber } from "effect"
import { listSessions } from "../../src/tools/sessions/ListSessions.ts"
import * as EventStream from "../support/EventStream.ts"
import * as Http from "../support/Http.ts"
import { nodesOf, TestCluster } from "../support/TestCluster.ts"
import { until } from "../support/Until.ts"

interface Text {
  readonly content: ReadonlyArray<{ readonly text: string }>
}

/** Connects through the balancer; the stream's end is all that the client says when the scope closes. */
const connect = (mcpUrl: string, session?: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const url = new URL("/sse", mcpUrl)
      if (session !== undefined) url.searchParams.set("session", session)
      const client = new Client({ name: "test", version: "1" })
      // oxlint-disable-next-line no-deprecated
      await client.connect(new SSEClientTransport(url))
      return client
    }),
    (client) => Effect.promise(() => client.close()),
  )

const run = (client: Client, command: string, onprogress?: (message: string) => void) =>
  Effect.promise(async () => {
    const result = await client.callTool(
      { name: "exec", arguments: { command } },
      undefined,
      onprogress === undefined ? {} : { onprogress: ({ message }) => onprogress(message ?? "") },
    )
    return JSON.parse((result as unknown as Text).content[0]?.text ?? "") as {
      readonly stdout: string
      readonly exit_code: number
    }
  })

layer(TestCluster.layer({ nodes: 3, env: { DRAIN_TIMEOUT: "5 seconds" } }), {
  excludeTestServices: true,
  timeout: "90 seconds",
})("HTTP+SSE", (it) => {
  it.scoped("serves a client whose messages go to every node in turn", () =>
    Effect.gen(function* () {
      const { mcpUrl } = yield* TestCluster
      const client = yield* connect(mcpUrl)
      assert.strictEqual(client.getServerVersion()?.name, "codegen-mcp")
      const { tools } = yield* Effect.promise(() => client.listTools())
      assert.include(
        tools.map(({ name }) => name),
        "exec",
      )
      const told: Array<string> = []
      const { stdout } = yield* run(client, "echo one; sleep 0.3; echo two; sleep 0.3", (message) =>
        told.push(message),
      )
      assert.strictEqual(stdout, "one\ntwo\n")
      assert.strictEqual(told.join(""), stdout)
      const many = yield* Effect.all(
        Array.from({ length: 20 }, (_, n) => run(client, `echo ${n}`)),
        { concurrency: "unbounded" },
      )
      assert.deepStrictEqual(
        many.map(({ stdout }) => stdout),
        Array.from({ length: 20 }, (_, n) => `${n}\n`),
      )
    }),
  )

  it.scoped("ends an unnamed session with its stream, and keeps a named one", () =>
    Effect.gen(function* () {
      const cluster = yield* TestCluster
      const observer = yield* cluster.client()
      const sessions = Effect.map(observer.ask(listSessions, {}), ({ sessions }) => sessions.length)
      const before = yield* sessions
      yield* Effect.scoped(
        Effect.gen(function* () {
          const [one, other] = [yield* connect(cluster.mcpUrl), yield* connect(cluster.mcpUrl, "kept")]
          yield* run(one, "true")
          yield* run(other, "echo here > file")
          assert.strictEqual(yield* sessions, before + 2)
        }),
      )
      yield* until(sessions, (now) => now === before + 1)
      const again = yield* connect(cluster.mcpUrl, "kept")
      assert.strictEqual((yield* run(again, "cat file")).stdout, "here\n")
    }),
  )

  it.scoped("cancels what the client does not want any more", () =>
    Effect.gen(function* () {
      const { mcpUrl } = yield* TestCluster
      const client = yield* connect(mcpUrl)
      yield* run(client, "true")
      const abort = new AbortController()
      const call = client.callTool({ name: "exec", arguments: { command: "sleep 7531" } }, undefined, {
        signal: abort.signal,
      })
      const sleeping = run(client, "pgrep -f 'sleep 753[1]' | wc -l")
      yield* until(sleeping, ({ stdout }) => stdout === "1\n")
      abort.abort()
      yield* Effect.promise(() => call.catch(() => undefined))
      yield* until(sleeping, ({ stdout }) => stdout === "0\n")
    }),
  )

  it.scoped("refuses what belongs to no stream, and what is no message", () =>
    Effect.gen(function* () {
      const [node] = yield* nodesOf(yield* TestCluster)
      const url = node!.url
      const post = (connection: string, body: string) =>
        Http.send(`${url}/messages?connection=${connection}`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body,
        })
      assert.strictEqual((yield* post("c_none", "{}")).status, 404)
      const stream = yield* EventStream.open(`${url}/sse`, { method: "GET", headers: {} })
      const connection = (yield* stream.next)?.data.split("=")[1] ?? ""
      assert.strictEqual((yield* post(connection, "[]")).status, 400)
      assert.strictEqual((yield* post(connection, "{")).status, 400)
      assert.strictEqual((yield* post(connection, '{"jsonrpc":"2.0","id":0,"method":"ping"}')).status, 202)
      const answer = yield* stream.next
      assert.deepStrictEqual(JSON.parse(answer?.data ?? ""), { jsonrpc: "2.0", id: 0, result: {} })
      const bad = yield* Http.send(`${url}/sse?session=a/b`)
      assert.strictEqual(bad.status, 400)
    }),
  )

  it.scoped("answers what runs before its node leaves", () =>
    Effect.gen(function* () {
      const cluster = yield* TestCluster
      const leaver = (yield* nodesOf(cluster))[2]!
      const client = yield* connect(leaver.url)
      let told = ""
      const call = yield* Effect.fork(
        run(client, "echo up; sleep 2; echo done", (message) => (told += message)),
      )
      yield* until(
        Effect.sync(() => told),
        (told) => told === "up\n",
      )
      yield* cluster.stop(leaver.id)
      assert.strictEqual((yield* Fiber.join(call)).stdout, "up\ndone\n")
    }),
  )
})
