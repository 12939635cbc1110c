/** What one client, or one principal, may take of a node: each limit is filled, named in the refusal, and free again. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import * as Http from "../support/Http.ts"
import * as RawClient from "../support/RawClient.ts"
import * as RawConnection from "../support/RawConnection.ts"
import { TestCluster } from "../support/TestCluster.ts"
import { until } from "../support/Until.ts"

const maxRequests = 4
const maxStreams = 3
const maxConnections = 5
const maxBody = 256 * 1024
const maxHeader = 4096

const hash = (token: string) => createHash("sha256").update(token).digest("hex")
const tokens = ["anne", "ben", "cora", "dora", "emil"] as const

const env = {
  API_TOKENS: tokens.map((name) => `${name}:${hash(name)}`).join(","),
  MAX_REQUESTS: String(maxRequests),
  MAX_STREAMS: String(maxStreams),
  MAX_CONNECTIONS: String(maxConnections),
  MAX_BODY: String(maxBody),
  MAX_FILE: String(maxBody / 2),
  MAX_HEADER: String(maxHeader),
  HEADER_TIMEOUT: "1 seconds",
  REQUEST_TIMEOUT: "3 seconds",
  KEEP_ALIVE: "33 seconds",
}

const node = Effect.flatMap(TestCluster, (cluster) => cluster.url("node-1"))

/** Of commands that are followed for long. */
const input = { wait_ms: 60_000 }

/** A connection of a principal, which may ask for more of them. */
const connected = (token: (typeof tokens)[number]) =>
  Effect.gen(function* () {
    const url = yield* node
    const client = yield* RawClient.open(url, { token })
    const ping = client.post({ id: 0, method: "ping" })
    return { ...client, url, open: RawClient.initialize(url, { token }), ping }
  })

layer(TestCluster.layer({ nodes: 1, env }), { excludeTestServices: true, timeout: "60 seconds" })(
  "the limits of a node",
  (it) => {
    it.scoped("are so many requests of one principal at once; those of another are not concerned", () =>
      Effect.gen(function* () {
        const { follow, ping, url } = yield* connected("anne")
        const other = yield* connected("ben")
        const waiting = yield* Effect.forEach(
          Array.from({ length: maxRequests }, (_, index) => index),
          (id) =>
            Effect.forkScoped(
              Effect.scoped(follow(id, "sleep 60", { headers: { accept: "application/json" }, input })),
            ),
        )
        const refused = yield* until(ping, ({ status }) => status !== 200)
        assert.strictEqual(refused.status, 429)
        assert.strictEqual(refused.headers["retry-after"], "1")
        assert.match(JSON.parse(refused.text).error.message, /works on 4 requests.*MAX_REQUESTS.*again/)
        assert.strictEqual((yield* other.ping).status, 200)
        assert.strictEqual((yield* Http.send(`${url}/readyz`)).status, 200)
        yield* Effect.forEach(waiting, (fiber) => fiber.interruptAsFork(fiber.id()))
        yield* until(ping, ({ status }) => status === 200)
      }),
    )

    it.scoped(
      "are so many streams of one principal at once, and calls past that are answered without one",
      () =>
        Effect.gen(function* () {
          const { follow, listen } = yield* connected("emil")
          // Of one connection each: the newest stream of one ends the others.
          const streams = yield* Effect.replicateEffect(
            Effect.flatMap(connected("emil"), ({ listen }) => listen()),
            maxStreams,
          )
          assert.deepStrictEqual(
            streams.map(({ status }) => status),
            Array.from({ length: maxStreams }, () => 200),
          )
          const refused = yield* listen()
          assert.strictEqual(refused.status, 429)
          assert.match(
            JSON.parse((yield* refused.next)!.data).error.message,
            /3 streams.*MAX_STREAMS.*Close one/,
          )
          const answer = yield* follow(0, "echo on; sleep 1; echo on", { input })
          assert.include(answer.type, "application/json")
          assert.strictEqual(
            JSON.parse((yield* answer.next)!.data).result.structuredContent.stdout,
            "on\non\n",
          )
          yield* streams[0]!.cut
          yield* until(listen(), ({ status }) => status === 200)
        }),
    )

    it.scoped("are so many connections of one principal, of which one more makes no session", () =>
      Effect.gen(function* () {
        const { end, open } = yield* connected("cora")
        const { sql } = yield* TestCluster
        const sessions = Effect.map(
          sql<{ count: number }>`
            SELECT count(*)::int AS count FROM session WHERE principal = 'token:cora' AND closed_at IS NULL`,
          (rows) => rows[0]?.count,
        )
        const more = yield* Effect.replicateEffect(open, maxConnections + 2, {
          concurrency: "unbounded",
        }).pipe(
          Effect.map((answers) => answers.filter(({ headers }) => headers["mcp-session-id"] !== undefined)),
        )
        assert.strictEqual(more.length, maxConnections - 1)
        const refused = yield* open
        assert.match(JSON.parse(refused.text).error.message, /5 open connections.*MAX_CONNECTIONS.*Close/)
        assert.strictEqual(yield* sessions, maxConnections)
        yield* end
        assert.isDefined((yield* open).headers["mcp-session-id"])
        yield* sql`DELETE FROM connection WHERE principal = 'token:cora'`
      }),
    )

    it.scoped("are so many bytes of a header", () =>
      Effect.gen(function* () {
        const { ping, post, url } = yield* connected("anne")
        const message = { id: 0, method: "ping" }
        assert.strictEqual(
          (yield* post(message, { headers: { "x-padding": "x".repeat(maxHeader - 1000) } })).status,
          200,
        )
        const refused = yield* post(message, { headers: { "x-padding": "x".repeat(maxHeader) } })
        assert.strictEqual(refused.status, 431)
        assert.match(JSON.parse(refused.text).error.message, /4096 bytes.*MAX_HEADER/)
        const connection = yield* RawConnection.open(url)
        connection.write(`POST /mcp HTTP/1.1\r\n${"x: y\r\n".repeat(maxHeader)}`)
        assert.match(yield* connection.closed, /^HTTP\/1.1 431 /)
        assert.strictEqual((yield* ping).status, 200)
      }),
    )

    it.scoped("are so much time for a client to send a header, a body, or anything at all", () =>
      Effect.gen(function* () {
        const { headers, url } = yield* connected("anne")
        const slow = [
          "",
          "POST /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\n",
          RawConnection.requestOf("POST", { ...headers, "content-length": "1000" }) + "{",
          RawConnection.requestOf("POST", { ...headers, "transfer-encoding": "chunked" }) + "1\r\n{\r\n",
          RawConnection.requestOf("POST", { ...headers, "content-length": String(10 * maxBody) }) +
            " ".repeat(2 * maxBody),
        ]
        const ends = yield* Effect.forEach(
          slow,
          (start) =>
            Effect.gen(function* () {
              const connection = yield* RawConnection.open(url)
              connection.write(start)
              return yield* connection.closed
            }),
          { concurrency: "unbounded" },
        )
        // Where its handler waits for the body, the connection is closed without more.
        for (const end of ends)
          assert.match(end, /^(HTTP\/1.1 408 .*HEADER_TIMEOUT|HTTP\/1.1 413 .*MAX_BODY|$)/s)
        assert.include(ends[0], "HTTP/1.1 408 ")
      }),
    )

    it.scoped("keep an idle connection as long as KEEP_ALIVE says, for the next request", () =>
      Effect.gen(function* () {
        const connection = yield* RawConnection.open(yield* node)
        connection.write(RawConnection.requestOf("PUT", {}))
        yield* until(Effect.sync(connection.text), (text) => text.includes("MAX") || text.includes("error"))
        assert.match(connection.text(), /keep-alive: timeout=33/i)
        connection.write(RawConnection.requestOf("PUT", {}))
        yield* until(Effect.sync(connection.text), (text) => text.split("HTTP/1.1 ").length === 3)
      }),
    )

    it.scoped(
      "are one request of a connection at a time: what is pipelined ends with it, and holds nothing",
      () =>
        Effect.gen(function* () {
          const { headers, listen, url } = yield* connected("dora")
          const one = RawConnection.requestOf("GET", { ...headers, accept: "text/event-stream" })
          for (let round = 0; round < maxStreams + 1; round++) {
            const connection = yield* RawConnection.open(url)
            connection.write(one.repeat(20))
            yield* connection.closed
            // What the connection before held is let go a moment after its end.
            const late = yield* until(
              Effect.gen(function* () {
                const late = yield* RawConnection.open(url)
                late.write(one)
                yield* until(Effect.sync(late.text), (text) => text.includes("\r\n\r\n"))
                return late
              }),
              (late) => late.text().startsWith("HTTP/1.1 200"),
            )
            yield* until(Effect.sync(late.text), (text) => text.includes("\n: keep-alive\n"))
            late.write(one)
            yield* late.closed
          }
          const streams = yield* until(Effect.replicateEffect(Effect.scoped(listen()), 1), (streams) =>
            streams.every(({ status }) => status === 200),
          )
          assert.strictEqual(streams.length, 1)
          const all = yield* Effect.replicateEffect(listen(), maxStreams)
          assert.isTrue(all.every(({ status }) => status === 200))
        }),
    )

    it.scoped("answer in HTTP/1.1 who would rather have something else, and refuse what is no HTTP", () =>
      Effect.gen(function* () {
        const { ping, post, url } = yield* connected("anne")
        const headers = {
          connection: "Upgrade, HTTP2-Settings",
          upgrade: "h2c",
          "http2-settings": "AAMAAABk",
        }
        const answer = yield* post({ id: "a", method: "ping" }, { headers })
        assert.deepStrictEqual(JSON.parse(answer.text), { jsonrpc: "2.0", id: "a", result: {} })
        for (const garbage of [
          "\x16\x03\x01\x02\x00\x01\x00",
          "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
          "hello\r\n\r\n",
        ]) {
          const connection = yield* RawConnection.open(url)
          connection.write(garbage)
          assert.match(yield* connection.closed, /^HTTP\/1.1 400 .*not HTTP\/1.1/s)
        }
        assert.strictEqual((yield* ping).status, 200)
      }),
    )
  },
)
