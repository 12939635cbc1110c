/** What a node's HTTP refuses, and with which status. */
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Option, Schema } from "effect"
import * as Http from "../support/Http.ts"
import * as RawClient from "../support/RawClient.ts"
import * as RawConnection from "../support/RawConnection.ts"
import { TestCluster } from "../support/TestCluster.ts"
import { until } from "../support/Until.ts"

const maxBody = 64 * 1024

const list = { jsonrpc: "2.0", id: 1, method: "tools/list" }

const RpcError = Schema.parseJson(
  Schema.Struct({ error: Schema.Struct({ code: Schema.Number, message: Schema.NonEmptyString }) }),
)

/** Posts to `/mcp` of the one node, with a connection unless the headers say otherwise. */
const post = (
  body: string,
  { headers = {}, ...rest }: Pick<Http.HttpRequest, "headers" | "chunked" | "method"> = {},
) =>
  Effect.gen(function* () {
    const cluster = yield* TestCluster
    const url = `${yield* cluster.url("node-1")}/mcp`
    const { connection } = yield* cluster.client({ url })
    const all = RawClient.headersOf(connection, headers)
    const answer = yield* Http.send(url, {
      method: "POST",
      body,
      headers: Object.fromEntries(Object.entries(all).filter(([, value]) => value !== "")),
      ...rest,
    })
    const error = Schema.decodeOption(RpcError)(answer.text)
    const code = error._tag === "Some" ? error.value.error.code : undefined
    return { status: answer.status, code, headers: answer.headers, text: answer.text }
  })

const padded = (bytes: number) => {
  const empty = JSON.stringify({ ...list, params: { _meta: { padding: "" } } })
  return empty.replace(`"padding":"`, `"padding":"${"x".repeat(bytes - empty.length)}`)
}

layer(TestCluster.layer({ nodes: 1, env: { MAX_BODY: String(maxBody), MAX_FILE: "500" } }), {
  excludeTestServices: true,
  timeout: "60 seconds",
})("a node's HTTP", (it) => {
  it.scoped("answers a request of a connection, with any content type that is JSON", () =>
    Effect.gen(function* () {
      for (const type of ["application/json", "application/json; charset=utf-8"]) {
        const answer = yield* post(JSON.stringify(list), { headers: { "content-type": type } })
        assert.strictEqual(answer.status, 200)
        assert.include(answer.text, '"name":"exec"')
      }
    }),
  )

  it.scoped(
    "takes a notification, known or not, and a reply that nobody asked for with 202 and no body",
    () =>
      Effect.gen(function* () {
        for (const message of [
          { jsonrpc: "2.0", method: "notifications/initialized" },
          { jsonrpc: "2.0", method: "notifications/nobody-knows", params: { a: [1] } },
          { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 12345 } },
          { jsonrpc: "2.0", id: 7, result: {} },
          { jsonrpc: "2.0", id: "never asked", error: { code: -1, message: "no" } },
        ]) {
          const { status, text } = yield* post(JSON.stringify(message))
          assert.deepStrictEqual({ status, text }, { status: 202, text: "" })
        }
      }),
  )

  it.scoped(
    "answers under the request's own id, also 0 and text, and a method that there is not with -32601",
    () =>
      Effect.gen(function* () {
        for (const id of [0, -1, "0", ""]) {
          const { text } = yield* post(JSON.stringify({ jsonrpc: "2.0", id, method: "ping" }))
          assert.deepStrictEqual(JSON.parse(text), { jsonrpc: "2.0", id, result: {} })
        }
        assert.strictEqual((yield* post(JSON.stringify({ ...list, method: "tools/none" }))).code, -32601)
      }),
  )

  const refusals: ReadonlyArray<
    readonly [what: string, body: string, status: number, code: number, request?: Parameters<typeof post>[1]]
  > = [
    ["a batch", JSON.stringify([list, list]), 400, -32600],
    ["an empty batch", "[]", 400, -32600],
    [
      "a message of 100 levels",
      `${"[".repeat(100)}${"]".repeat(100)}`.replace(/^/, '{"a":') + "}",
      400,
      -32600,
    ],
    ["JSON that is broken", '{"jsonrpc": "2.0", "id": 1,', 400, -32700],
    ["an empty body", "", 400, -32700],
    ["JSON that is no JSON-RPC", '{"hello": 1}', 400, -32600],
    [
      "another content type",
      JSON.stringify(list),
      415,
      -32000,
      { headers: { "content-type": "text/plain" } },
    ],
    [
      "a content type that only begins like JSON",
      JSON.stringify(list),
      415,
      -32000,
      { headers: { "content-type": "application/json-seq" } },
    ],
    ["a request without an id's value", JSON.stringify({ ...list, id: null }), 400, -32600],
    ["an id of 300 characters", JSON.stringify({ ...list, id: "x".repeat(300) }), 400, -32600],
    [
      "a progress token of 300 characters",
      JSON.stringify({ ...list, params: { _meta: { progressToken: "x".repeat(300) } } }),
      400,
      -32600,
    ],
    ["no content type", JSON.stringify(list), 415, -32000, { headers: { "content-type": "" } }],
    ["a foreign Origin", JSON.stringify(list), 403, -32000, { headers: { origin: "https://example.com" } }],
    ["an opaque Origin", JSON.stringify(list), 403, -32000, { headers: { origin: "null" } }],
    ["a foreign Host", JSON.stringify(list), 403, -32000, { headers: { host: "rebound.example.com" } }],
    [
      "a Host that begins as a loopback name",
      JSON.stringify(list),
      403,
      -32000,
      { headers: { host: "127.0.0.1.example.com:80" } },
    ],
    ["no connection", JSON.stringify(list), 400, -32000, { headers: { "mcp-session-id": "" } }],
    [
      "an unknown connection",
      JSON.stringify(list),
      404,
      -32001,
      { headers: { "mcp-session-id": `c_${"0".repeat(32)}` } },
    ],
    [
      "a connection that is no id",
      JSON.stringify(list),
      404,
      -32001,
      { headers: { "mcp-session-id": "' OR 1=1" } },
    ],
    [
      "a protocol version that there is not",
      JSON.stringify(list),
      400,
      -32000,
      { headers: { "mcp-protocol-version": "1999-01-01" } },
    ],
    ["PUT", JSON.stringify(list), 405, -32000, { method: "PUT" }],
    ["a body over the limit, with its length", padded(maxBody + 1), 413, -32000],
    ["a body over the limit, in chunks", padded(maxBody + 1), 413, -32000, { chunked: true }],
    ["a body far over the limit, in chunks", padded(maxBody * 64), 413, -32000, { chunked: true }],
  ]
  for (const [what, body, status, code, request] of refusals) {
    it.scoped(`refuses ${what} with ${status}`, () =>
      Effect.gen(function* () {
        const answer = yield* post(body, request)
        assert.deepStrictEqual({ status: answer.status, code: answer.code }, { status, code }, answer.text)
        assert.notInclude(answer.text, "    at ")
      }),
    )
  }

  it.scoped("takes the rest of a body that it has refused, so that the answer reaches who still sends", () =>
    Effect.gen(function* () {
      const cluster = yield* TestCluster
      const url = `${yield* cluster.url("node-1")}/mcp`
      const { connection } = yield* cluster.client({ url })
      const client = yield* RawConnection.open(url)
      const isClosed = yield* Effect.fork(client.closed)
      const headers = {
        ...RawClient.headersOf(connection, {}),
        "transfer-encoding": "chunked",
        connection: "close",
      }
      client.write(RawConnection.requestOf("POST", headers))
      const piece = `1000\r\n${"x".repeat(4096)}\r\n`
      client.write(piece.repeat(32))
      yield* until(Effect.sync(client.text), (text) => text.includes("MAX_BODY"))
      for (let turn = 0; turn < 10; turn++) {
        client.write(piece.repeat(32))
        yield* Effect.sleep("20 millis")
      }
      assert.isNull(yield* Fiber.poll(isClosed).pipe(Effect.map(Option.getOrNull)))
      client.write("0\r\n\r\n")
      assert.match(yield* Fiber.join(isClosed), /^HTTP\/1.1 413 /)
    }),
  )

  it.scoped("takes a body up to the limit, with its length and in chunks", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* post(padded(maxBody))).status, 200)
      assert.strictEqual((yield* post(padded(maxBody), { chunked: true })).status, 200)
    }),
  )

  it.effect("answers 404 at any other path, and 406 to a GET that asks for no stream", () =>
    Effect.gen(function* () {
      const url = yield* (yield* TestCluster).url("node-1")
      for (const path of ["/", "/mcp/x", "/readyz/x", "/%2e%2e/etc/passwd"]) {
        assert.strictEqual((yield* Http.send(`${url}${path}`)).status, 404, path)
      }
      assert.strictEqual((yield* Http.send(`${url}/mcp`, { headers: { accept: "text/html" } })).status, 406)
    }),
  )

  it.effect("accepts a loopback Origin where no token is set", () =>
    Effect.gen(function* () {
      const url = yield* (yield* TestCluster).url("node-1")
      const answer = yield* Http.send(`${url}/mcp`, {
        method: "POST",
        headers: { "content-type": "application/json", origin: "http://localhost:6274" },
        body: JSON.stringify(list),
      })
      assert.strictEqual(answer.status, 400)
    }),
  )

  it.effect("refuses an `initialize` that is not complete, and goes on", () =>
    Effect.gen(function* () {
      const url = yield* (yield* TestCluster).url("node-1")
      const answer = yield* Http.send(`${url}/mcp`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params: {} }),
      })
      assert.strictEqual(answer.status, 400)
      assert.strictEqual((yield* Http.send(`${url}/healthz`)).status, 200)
    }),
  )
})
