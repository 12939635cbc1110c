import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { type IncomingMessage, request, type ServerResponse } from "node:http"
import * as Balancer from "../../scripts/cluster/Balancer.ts"
import * as StateFile from "../../scripts/cluster/StateFile.ts"
import * as Port from "../../scripts/process/Port.ts"
import { cluster, stateFile, upstream } from "./Upstream.ts"

describe("Balancer", () => {
  it.scopedLive("sends each request to the next node in turn", () =>
    Effect.gen(function* () {
      const { url } = yield* balance([yield* says("a"), yield* says("b"), yield* says("c")])
      const answers = yield* Effect.replicateEffect(text(url), 6)
      assert.deepStrictEqual(answers, ["a", "b", "c", "a", "b", "c"])
    }),
  )

  it.scopedLive("skips a node that does not answer, for reads and writes alike", () =>
    Effect.gen(function* () {
      const { url } = yield* balance([yield* deadUrl, yield* says("b"), yield* deadUrl])
      const reads = yield* Effect.replicateEffect(text(url), 3)
      const writes = yield* Effect.replicateEffect(text(url, { method: "POST", body: "x" }), 3)
      assert.deepStrictEqual([...reads, ...writes], ["b", "b", "b", "b", "b", "b"])
    }),
  )

  it.scopedLive("never repeats a request that a node has received, and says so with 502", () =>
    Effect.gen(function* () {
      let received = 0
      const dies = upstream((request, response) => {
        received++
        request.on("data", () => response.socket?.destroy())
      })
      const { url } = yield* balance([yield* dies, yield* dies, yield* dies])
      const answer = yield* ask(url, { method: "POST", body: "only once" })
      assert.strictEqual(answer.status, 502)
      assert.strictEqual(
        (yield* Effect.promise(() => answer.json()) as Effect.Effect<Problem>).code,
        "node_lost",
      )
      assert.strictEqual(received, 1)
    }),
  )

  it.scopedLive("answers 503 with a sentence where no node answers or none is known", () =>
    Effect.gen(function* () {
      const dead = yield* balance([yield* deadUrl, yield* deadUrl])
      const port = yield* Balancer.serve({ host: "127.0.0.1", port: 0, stateFile: yield* stateFile })
      for (const url of [dead.url, `http://127.0.0.1:${port}`]) {
        const answer = yield* ask(url)
        assert.strictEqual(answer.status, 503)
        assert.strictEqual(
          (yield* Effect.promise(() => answer.json()) as Effect.Effect<Problem>).code,
          "no_node",
        )
      }
    }),
  )

  it.scopedLive("passes on headers, status and body as they are", () =>
    Effect.gen(function* () {
      const echo = upstream((request, response) => {
        const parts: Array<Buffer> = []
        request.on("data", (chunk: Buffer) => parts.push(chunk))
        request.on("end", () => {
          response.writeHead(
            418,
            "Teapot",
            [
              ["set-cookie", "a=1"],
              ["set-cookie", "b=2"],
              ["x-path", request.url ?? ""],
            ].flat(),
          )
          response.end(
            `${request.method} ${request.headers["mcp-session-id"]} ${Buffer.concat(parts).length}`,
          )
        })
      })
      const { url } = yield* balance([yield* echo])
      const answer = yield* ask(`${url}/mcp?session=x`, {
        method: "POST",
        headers: { "mcp-session-id": "c_1" },
        body: "x".repeat(1_000_000),
      })
      assert.strictEqual(answer.status, 418)
      assert.strictEqual(answer.headers.get("x-path"), "/mcp?session=x")
      assert.deepStrictEqual(answer.headers.getSetCookie(), ["a=1", "b=2"])
      assert.strictEqual(yield* Effect.promise(() => answer.text()), "POST c_1 1000000")
    }),
  )

  it.scopedLive("passes on each part of an answer before the next one exists", () =>
    Effect.gen(function* () {
      let finish = () => {}
      const slow = upstream((_, response) => {
        response.write("first")
        finish = () => response.end("second")
      })
      const { url } = yield* balance([yield* slow])
      const reader = (yield* ask(url)).body?.getReader()
      const part = Effect.map(
        Effect.promise(() => reader?.read() ?? Promise.resolve(undefined)),
        (read) => Buffer.from(read?.value ?? []).toString(),
      )
      assert.strictEqual(yield* part, "first")
      finish()
      assert.strictEqual(yield* part, "second")
    }),
  )

  it.scopedLive("passes on each part of a request before the next one exists", () =>
    Effect.gen(function* () {
      const got = yield* Deferred.make<string>()
      const { port } = yield* balance([
        yield* upstream((request) =>
          request.once("data", (chunk: Buffer) => Deferred.unsafeDone(got, Effect.succeed(String(chunk)))),
        ),
      ])
      const upload = yield* Effect.acquireRelease(
        Effect.sync(() => request({ port, method: "POST" }).on("error", () => undefined)),
        (upload) => Effect.sync(() => upload.destroy()),
      )
      yield* Effect.sync(() => upload.write("a part"))
      assert.strictEqual(yield* Deferred.await(got), "a part")
    }),
  )

  it.scopedLive("ends the node's request when the client goes away", () =>
    Effect.gen(function* () {
      const [arrived, ended] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const { url } = yield* balance([
        yield* upstream((_, response) => {
          Deferred.unsafeDone(arrived, Effect.void)
          response.once("close", () => Deferred.unsafeDone(ended, Effect.void))
        }),
      ])
      const client = new AbortController()
      const answer = fetch(url, { method: "POST", body: "x", signal: client.signal }).catch(() => undefined)
      yield* Deferred.await(arrived)
      client.abort()
      yield* Effect.promise(() => answer)
      yield* Deferred.await(ended)
    }),
  )

  it.scopedLive("breaks the client's answer off when the node dies in the middle of it", () =>
    Effect.gen(function* () {
      const { url } = yield* balance([
        yield* upstream((_, response) => {
          response.write("half")
          setTimeout(() => response.socket?.destroy(), 20)
        }),
      ])
      const answer = yield* ask(url)
      const rest = yield* Effect.either(Effect.tryPromise(() => answer.text()))
      assert.strictEqual(rest._tag, "Left")
    }),
  )

  it.scopedLive("follows the state file as nodes come and go", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* says("a"), yield* says("b")]
      const { file, url } = yield* balance([a])
      assert.strictEqual(yield* text(url), "a")
      yield* StateFile.write(file, cluster([b]))
      yield* text(url).pipe(Effect.repeat({ until: (who) => who === "b" }))
      const answers = yield* Effect.replicateEffect(text(url), 3)
      assert.deepStrictEqual(answers, ["b", "b", "b"])
    }),
  )
})

interface Problem {
  readonly code: string
}

/** A balancer in front of nodes at these urls. */
const balance = (urls: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const file = yield* stateFile
    yield* StateFile.write(file, cluster(urls))
    const port = yield* Balancer.serve({ host: "127.0.0.1", port: 0, stateFile: file })
    return { file, port, url: `http://127.0.0.1:${port}` }
  })

/** A node that answers everything with its name. */
const says = (name: string) =>
  upstream((_: IncomingMessage, response: ServerResponse) => void response.end(name))

/** Where nobody listens. */
const deadUrl = Effect.map(Port.free, (port) => `http://127.0.0.1:${port}`)

const ask = (url: string, init?: RequestInit) => Effect.promise(() => fetch(url, init))

const text = (url: string, init?: RequestInit) =>
  Effect.flatMap(ask(url, init), (answer) => Effect.promise(() => answer.text()))
