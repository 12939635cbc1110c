import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import { connect } from "node:net"
import { connect as connectTls } from "node:tls"
import { patience } from "../../../src/sandbox/tunnel/Connection.ts"
import { dial, make, serving } from "../../support/TunnelPair.ts"
import { until } from "../../support/Until.ts"

const is = <A>(look: () => A, holds: (answer: A) => boolean) => until(Effect.sync(look), holds, "8 seconds")

/** Sends back what comes, and ends when the other end does. */
const echo = serving((socket) =>
  socket.on("data", (chunk) => void socket.write(chunk)).on("end", () => socket.end()),
)

/** A tunnel to example.com, where `echo` answers on whatever port. */
const toEcho = (policy = ["example.com:7", "example.com"], times: Partial<typeof patience> = {}) =>
  Effect.gen(function* () {
    const pair = yield* make({ ...patience, ...times })
    const server = yield* echo
    pair.outside.port = server.port
    pair.outside.names.set("example.com", [["192.0.2.1"]])
    yield* pair.tunnel.allow(policy)
    return { ...pair, server }
  })

type Pair = Effect.Effect.Success<ReturnType<typeof toEcho>>

/** Nothing is left but the channels that wait. */
const isClean = (pair: Pair) =>
  is(
    () => [pair.tunnel.status().open, pair.outside.open.size, ...pair.channels()],
    (counts) => counts.join() === "0,0,4,4",
  )

/** The first bytes of a client that asks for a server by TLS. */
const helloTo = (servername: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      let hello = Buffer.alloc(0)
      const { port } = yield* serving((socket) =>
        socket.on("data", (chunk) => (hello = Buffer.concat([hello, chunk]))),
      )
      connectTls({ host: "127.0.0.1", port, servername, rejectUnauthorized: false }).on(
        "error",
        () => undefined,
      )
      return yield* is(
        () => hello,
        ({ length }) => length > 0,
      )
    }),
  )

describe("Tunnel", () => {
  it.scopedLive(
    "carries a connection to an allowed host, at the address that was judged, and counts its bytes",
    () =>
      Effect.gen(function* () {
        const pair = yield* toEcho()
        const { status, socket, bytes } = yield* dial(pair.port(), "EXAMPLE.com.:7", "early")
        assert.include(status, "200")
        socket.write(" and late")
        yield* is(bytes, (found) => found.toString() === "early and late")
        assert.deepStrictEqual(pair.outside.dialled, ["192.0.2.1:7"])
        assert.deepInclude(pair.tunnel.status(), { open: 1, opened: 1, sent: 14, received: 14, refused: 0 })
        socket.destroy()
        yield* isClean(pair)
      }),
  )

  it.scopedLive(
    "refuses what the policy does not name, addresses, odd ports and nonsense, and says why",
    () =>
      Effect.gen(function* () {
        const pair = yield* toEcho(["example.com"])
        const cases: ReadonlyArray<readonly [target: string, status: string, reason: string]> = [
          ["other.com:443", "403", "not in the session's network policy"],
          ["example.com:22", "403", "not in the session's network policy"],
          ["example.com:8443", "403", "not in the session's network policy"],
          ["www.example.com:443", "403", "not in the session's network policy"],
          ["192.0.2.1:443", "400", "no addresses"],
          ["[2606:4700::1]:443", "400", "no addresses"],
          ["127.1:80", "400", "no addresses"],
          ["0x7f000001:80", "400", "no addresses"],
          ["2130706433:80", "400", "no addresses"],
          ["example.com", "400", "no addresses"],
          ["example.com:443:443", "400", "no addresses"],
        ]
        const start = Date.now()
        for (const [target, status, reason] of cases) {
          const found = yield* dial(pair.port(), target)
          assert.include(found.status, `${status} ${target}: `, target)
          assert.include(found.status, reason, target)
          found.socket.destroy()
        }
        assert.include((yield* dial(pair.port(), `${"a".repeat(5000)}:443`)).status, "400 aaa")
        assert.deepStrictEqual(pair.outside.dialled, [])
        assert.deepStrictEqual(pair.outside.resolved, [])
        assert.strictEqual(pair.tunnel.status().refused, cases.length + 1)
        const told = pair.tunnel.refusals(start, Date.now())
        assert.deepInclude(told, { target: "other.com:443", reason: "not in the session's network policy" })
        assert.deepStrictEqual(pair.tunnel.refusals(0, start - 1), [])
        yield* isClean(pair)
      }),
  )

  it.scopedLive("refuses names that lead to private, reserved, mapped or the machine's own addresses", () =>
    Effect.gen(function* () {
      const pair = yield* toEcho(["*.example.com"])
      const addresses = [
        "127.0.0.1",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "::1",
        "fe80::1",
        "fd00::1",
      ]
      addresses.push("::ffff:192.0.2.1", "64:ff9b::c000:201", "224.0.0.1", "203.0.113.1", "0.0.0.0")
      for (const [index, address] of addresses.entries()) {
        pair.outside.names.set(`h${index}.example.com`, [[address]])
        const { status } = yield* dial(pair.port(), `h${index}.example.com:80`)
        assert.include(status, `403 h${index}.example.com:80: it leads to ${address}, which is `)
      }
      assert.deepStrictEqual(pair.outside.dialled, [])
      // Of several addresses those are dialled that may be.
      pair.outside.names.set("mixed.example.com", [["127.0.0.1", "192.0.2.7", "10.0.0.1"]])
      assert.include((yield* dial(pair.port(), "mixed.example.com:80")).status, "200")
      assert.deepStrictEqual(pair.outside.dialled, ["192.0.2.7:80"])
      assert.include((yield* dial(pair.port(), "unknown.example.com:80")).status, "could not be resolved")
    }),
  )

  it.scopedLive("looks a name up once, so that a second answer cannot lead elsewhere", () =>
    Effect.gen(function* () {
      const pair = yield* toEcho(["example.com"])
      pair.outside.names.set("example.com", [["192.0.2.1"], ["127.0.0.1"]])
      assert.include((yield* dial(pair.port(), "example.com:80")).status, "200")
      assert.deepStrictEqual(pair.outside.dialled, ["192.0.2.1:80"])
      assert.deepStrictEqual(pair.outside.resolved, ["example.com"])
      assert.include((yield* dial(pair.port(), "example.com:80")).status, "403")
      assert.deepStrictEqual(pair.outside.dialled, ["192.0.2.1:80"])
    }),
  )

  it.scopedLive(
    "passes TLS on where it asks for the host of the request, cut anywhere, and else ends it",
    () =>
      Effect.gen(function* () {
        const pair = yield* toEcho()
        const right = yield* helloTo("example.com")
        const whole = yield* dial(pair.port(), "example.com:443", right)
        yield* is(whole.bytes, (bytes) => bytes.equals(right))
        const cut = yield* dial(pair.port(), "example.com:443")
        for (let at = 0; at < right.length; at += 100) {
          cut.socket.write(right.subarray(at, at + 100))
          yield* Effect.promise(() => new Promise(setImmediate))
        }
        yield* is(cut.bytes, (bytes) => bytes.equals(right))
        const since = Date.now()
        const wrong: ReadonlyArray<readonly [first: Uint8Array, port: number, reason: string]> = [
          [yield* helloTo("other.com"), 443, "it asks for other.com by TLS"],
          [yield* helloTo("other.com"), 7, "it asks for other.com by TLS"],
          [yield* helloTo(""), 443, "it names no server (SNI)"],
          [Buffer.from("GET / HTTP/1.1\r\n\r\n"), 443, "it begins with no TLS handshake"],
          [randomBytes(50).fill(0x16, 0, 1).fill(3, 1, 2), 443, "malformed"],
        ]
        for (const [first, port, reason] of wrong) {
          const { status, socket, bytes } = yield* dial(pair.port(), `example.com:${port}`, first)
          assert.include(status, "200")
          yield* is(
            () => socket.closed,
            (closed) => closed,
          )
          assert.lengthOf(bytes(), 0)
          const last = pair.tunnel.refusals(since, Date.now()).at(-1)
          assert.strictEqual(last?.target, `example.com:${port}`)
          if (!reason.includes("malformed")) assert.strictEqual(last?.reason, reason)
        }
        for (const { socket } of [whole, cut]) socket.destroy()
        yield* isClean(pair)
      }),
  )

  it.scopedLive("ends connections to what a changed policy does not allow, and no others", () =>
    Effect.gen(function* () {
      const pair = yield* toEcho(["example.com", "other.com"])
      pair.outside.names.set("other.com", [["192.0.2.2"]])
      const [one, other] = [
        yield* dial(pair.port(), "example.com:80"),
        yield* dial(pair.port(), "other.com:80"),
      ]
      yield* pair.tunnel.allow(["example.com"])
      yield* is(
        () => other.socket.closed,
        (closed) => closed,
      )
      one.socket.write("still")
      yield* is(one.bytes, (bytes) => bytes.toString() === "still")
      assert.include((yield* dial(pair.port(), "other.com:80")).status, "403")
      const port = pair.port()
      yield* pair.tunnel.allow([])
      yield* is(
        () => one.socket.closed,
        (closed) => closed,
      )
      assert.deepStrictEqual(pair.environment(), {})
      assert.include(
        (yield* dial(port, "example.com:80")).status,
        "403 the session's network policy allows nothing",
      )
      assert.deepStrictEqual(pair.channels(), [0, 0])
      yield* pair.tunnel.allow(["example.com"])
      assert.include((yield* dial(port, "example.com:80")).status, "200")
    }),
  )

  it.scopedLive(
    "is shut while the node may not act for the session, from its first byte after a freeze on",
    () =>
      Effect.gen(function* () {
        const pair = yield* toEcho()
        const { socket, bytes } = yield* dial(pair.port(), "example.com:80")
        socket.write("before")
        yield* is(bytes, ({ length }) => length === 6)
        const sent = pair.tunnel.status().sent
        pair.lapse()
        socket.write("after")
        yield* is(
          () => socket.closed,
          (closed) => closed,
        )
        assert.strictEqual(pair.tunnel.status().sent, sent)
        pair.hold(false)
        yield* is(pair.channels, (counts) => counts.join() === "0,0")
        const waiting = yield* Effect.fork(dial(pair.port(), "example.com:80"))
        pair.hold(true)
        const again = yield* waiting
        assert.include(again.status, "200")
        pair.hold(false)
        yield* is(
          () => again.socket.closed,
          (closed) => closed,
        )
      }),
  )

  it.scopedLive("lets either end finish first", () =>
    Effect.gen(function* () {
      const pair = yield* toEcho()
      const { socket, bytes } = yield* dial(pair.port(), "example.com:80")
      const data = randomBytes(3_000_000)
      socket.end(data)
      yield* is(
        () => socket.readableEnded,
        (ended) => ended,
      )
      assert.isTrue(bytes().equals(data))
      yield* isClean(pair)
      const greeter = yield* serving((socket) => socket.end("bye"))
      pair.outside.port = greeter.port
      const greeted = yield* dial(pair.port(), "example.com:80")
      yield* is(
        () => greeted.socket.readableEnded,
        (ended) => ended,
      )
      assert.strictEqual(greeted.bytes().toString(), "bye")
      greeted.socket.end()
      yield* isClean(pair)
    }),
  )

  it.scopedLive("tells a host all that a program said before it went", () =>
    Effect.gen(function* () {
      const pair = yield* toEcho()
      let heard = 0
      const slow = yield* serving((socket) => {
        socket.pause().on("end", () => socket.end())
        setTimeout(() => socket.on("data", (chunk) => (heard += chunk.length)).resume(), 300)
      })
      pair.outside.port = slow.port
      const { socket } = yield* dial(pair.port(), "example.com:80")
      socket.write(Buffer.alloc(400_000), () => socket.destroy())
      yield* is(
        () => heard,
        (bytes) => bytes === 400_000,
      )
      yield* isClean(pair)
    }),
  )

  it.scopedLive("holds a bounded amount for ends that do not read, and goes on where they do again", () =>
    Effect.gen(function* () {
      const pair = yield* toEcho()
      // A host that sends without end, and a program that stands still.
      let given = 0
      const flood = yield* serving((socket) => {
        const chunk = Buffer.alloc(65536)
        const more = () => {
          while (!socket.destroyed && socket.write(chunk)) given += chunk.length
        }
        socket.on("drain", more)
        more()
      })
      pair.outside.port = flood.port
      const stalled = yield* dial(pair.port(), "example.com:80")
      stalled.socket.pause()
      yield* is(
        () => pair.tunnel.status().received,
        (received) => received > 500_000,
      )
      let before = -1
      yield* until(
        Effect.delay(
          Effect.sync(() => pair.tunnel.status().received),
          "200 millis",
        ),
        (now) => now === before || ((before = now), false),
      )
      assert.isBelow(before, 10_000_000)
      // Nobody else waits for it.
      pair.outside.port = pair.server.port
      const other = yield* dial(pair.port(), "example.com:80", "hello")
      yield* is(other.bytes, (bytes) => bytes.toString() === "hello")
      stalled.socket.resume()
      yield* is(
        () => pair.tunnel.status().received,
        (received) => received > before + 5_000_000,
      )
      assert.isAbove(given, before)
      for (const one of [stalled.socket, other.socket]) one.destroy()
      yield* isClean(pair)
    }),
  )

  it.scopedLive("ends a connection on which nothing moves for long, with what waits for it", () =>
    Effect.gen(function* () {
      const pair = yield* toEcho(["example.com"], { idle: 700 })
      const deaf = yield* serving((socket) => socket.pause())
      pair.outside.port = deaf.port
      const { socket } = yield* dial(pair.port(), "example.com:80")
      for (let count = 0; count < 500; count++) socket.write(Buffer.alloc(65536))
      yield* is(
        () => pair.tunnel.status().sent,
        (sent) => sent > 500_000,
      )
      yield* isClean(pair)
      assert.isBelow(pair.tunnel.status().sent, 16_000_000)
      const silent = yield* dial(pair.port(), "example.com:443")
      yield* is(
        () => silent.socket.closed,
        (closed) => closed,
      )
      yield* isClean(pair)
    }),
  )

  it.scopedLive(
    "has nothing left of 1,000 connections that were opened and abandoned",
    () =>
      Effect.gen(function* () {
        const pair = yield* toEcho()
        const port = pair.port()
        const statuses = yield* Effect.forEach(
          Array.from({ length: 1000 }),
          (_, index) =>
            index % 5 === 0
              ? Effect.async<string>((resume) => {
                  const socket = connect({ host: "127.0.0.1", port })
                  socket.on("error", () => undefined)
                  socket.write("CONNECT example.com:80 HTTP/1.1\r\n\r\n", () => {
                    socket.destroy()
                    resume(Effect.succeed("left"))
                  })
                })
              : Effect.map(dial(port, "example.com:80"), ({ socket, status }) => {
                  socket.destroy()
                  return status
                }),
          { concurrency: 100 },
        )
        assert.isAbove(statuses.filter((status) => status.startsWith("200")).length, 700)
        yield* isClean(pair)
        assert.isAtMost(pair.server.sockets.size, 0)
      }),
    40_000,
  )

  it.scopedLive("keeps to its bound of connections: others wait for their turn", () =>
    Effect.gen(function* () {
      const pair = yield* toEcho()
      const all = yield* Effect.forkAll(
        Array.from({ length: 40 }, () =>
          Effect.tap(dial(pair.port(), "example.com:80"), ({ socket }) =>
            socket.on("end", () => socket.end()),
          ),
        ),
      )
      yield* is(
        () => pair.tunnel.status().open,
        (open) => open === 32,
      )
      assert.strictEqual(pair.outside.open.size, 32)
      // The eight that wait come in as others go.
      for (const socket of pair.server.sockets) socket.end()
      yield* is(
        () => pair.outside.dialled.length,
        (count) => count === 40,
      )
      for (const { socket } of yield* all) socket.destroy()
      yield* isClean(pair)
    }),
  )

  it.scopedLive("carries plain HTTP, with its method, headers and body", () =>
    Effect.gen(function* () {
      const pair = yield* toEcho()
      let head = ""
      const web = yield* serving((socket) =>
        socket.on("data", (chunk) => {
          head += chunk.toString("latin1")
          if (head.includes("body"))
            socket.end("HTTP/1.1 201 Made\r\nX-One: 1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        }),
      )
      pair.outside.port = web.port
      const answer = yield* Effect.async<string>((resume) => {
        const socket = connect({ host: "127.0.0.1", port: pair.port() })
        let text = ""
        socket.on("data", (chunk) => (text += chunk)).on("end", () => resume(Effect.succeed(text)))
        socket.write(
          "POST http://example.com/a?b=c HTTP/1.1\r\nHost: evil.com\r\nProxy-Authorization: x\r\nContent-Length: 4\r\n\r\nbody",
        )
      })
      assert.match(answer, /^HTTP\/1.1 201 Made\r\n/)
      assert.match(answer, /x-one: 1/i)
      assert.isTrue(answer.endsWith("\r\n\r\nok"))
      assert.match(head, /^POST \/a\?b=c HTTP\/1.1\r\n/)
      assert.match(head, /host: example.com\r\n/)
      assert.notMatch(head, /evil|proxy/i)
      const refused = yield* Effect.async<string>((resume) => {
        const socket = connect({ host: "127.0.0.1", port: pair.port() })
        let text = ""
        socket.on("data", (chunk) => (text += chunk)).on("end", () => resume(Effect.succeed(text)))
        socket.write("GET http://other.com/ HTTP/1.1\r\nHost: other.com\r\n\r\n")
      })
      assert.match(refused, /^HTTP\/1.1 403 other.com:80: not in the session's network policy/)
      yield* isClean(pair)
    }),
  )
})
