import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Redacted } from "effect"
import { createServer, type IncomingMessage, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import * as Upstream from "../../../src/mcp/stdio/Upstream.ts"

/** A server that answers so, and what it was asked. */
const serving = (answer: RequestListener) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.async<{
        readonly server: ReturnType<typeof createServer>
        readonly asked: Array<IncomingMessage>
      }>((resume) => {
        const asked: Array<IncomingMessage> = []
        const server = createServer((request, response) => {
          asked.push(request)
          answer(request, response)
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, asked })))
      }),
      ({ server }) =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        }),
    ),
    ({ asked, server }) => ({
      asked,
      upstream: Upstream.make({
        url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp?session=s`),
        token: Option.some(Redacted.make("secret")),
      }),
    }),
  )

const status =
  (code: number, body = "", headers: Record<string, string> = {}): RequestListener =>
  (_, response) =>
    void response.writeHead(code, headers).end(body)

const connection = { id: "c_1", version: "2025-11-25" }

const failing = (answer: RequestListener, over?: Upstream.Connection) =>
  Effect.flatMap(serving(answer), ({ upstream }) => Effect.flip(upstream.post("{}", over)))

const words = JSON.stringify({ jsonrpc: "2.0", id: null, error: { code: -32602, message: "A bad name." } })

describe("Upstream", () => {
  it.scopedLive("sends the token, the connection and the protocol's version with every request", () =>
    Effect.gen(function* () {
      const { asked, upstream } = yield* serving(status(202))
      yield* upstream.post("{}", connection)
      yield* upstream.listen(connection, "o.7")
      yield* upstream.close(connection)
      for (const { headers } of asked) {
        assert.strictEqual(headers.authorization, "Bearer secret")
        assert.strictEqual(headers["mcp-session-id"], "c_1")
        assert.strictEqual(headers["mcp-protocol-version"], "2025-11-25")
      }
      assert.deepStrictEqual(
        asked.map(({ headers, method }) => [method, headers["last-event-id"]]),
        [
          ["POST", undefined],
          ["GET", "o.7"],
          ["DELETE", undefined],
        ],
      )
    }),
  )

  for (const code of [429, 502, 503, 504]) {
    it.scopedLive(`takes ${code} for a cluster that may answer later`, () =>
      Effect.map(failing(status(code)), (error) => assert.strictEqual(error._tag, "Unreachable")),
    )
  }

  it.scopedLive("takes a connection that breaks before the answer for one that may be tried again", () =>
    Effect.map(
      failing((request) => request.socket.resetAndDestroy()),
      (error) => assert.strictEqual(error._tag, "Unreachable"),
    ),
  )

  it.scopedLive("takes 404 for a connection's end, and without a connection for a wrong address", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* failing(status(404), connection))._tag, "ConnectionEnded")
      const error = yield* failing(status(404))
      assert.match(error._tag === "Refused" ? error.problem : "", /^There is no MCP at .*--url/)
    }),
  )

  for (const [name, answer, advice] of [
    ["a wrong token", status(401, words), /^The cluster refuses the token \(401\): set CODEGEN_MCP_TOKEN/],
    ["a forbidden caller", status(403), /--url and the token/],
    ["what the cluster explains", status(400, words), /^A bad name\.$/],
    ["what it does not", status(418, "<html>"), /\(418\)/],
    ["another address", status(307, "", { location: "http://elsewhere.invalid" }), /give that address/],
    [
      "a page",
      status(200, "<html>", { "content-type": "text/html" }),
      /text\/html, which is not MCP: check --url/,
    ],
  ] as const) {
    it.scopedLive(`refuses ${name} in one sentence, without the token`, () =>
      Effect.map(failing(answer), (error) => {
        const problem = error._tag === "Refused" ? error.problem : ""
        assert.match(problem, advice)
        assert.notInclude(problem, "secret")
      }),
    )
  }
})
