import { HttpServer, HttpServerRequest } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Option } from "effect"
import { ConnectionId, OperationId } from "../../src/domain/Identity.ts"
import { answer, placeOf } from "../../src/mcp/EventStream.ts"
import * as BoundedServer from "../../src/node/BoundedServer.ts"
import * as EventStream from "../support/EventStream.ts"
import * as RawConnection from "../support/RawConnection.ts"
import * as TestNode from "../support/TestNode.ts"
import { until } from "../support/Until.ts"

const operation = OperationId.make("o_1")
const origin = { connection: ConnectionId.make(`c_${"0".repeat(32)}`), request: 0, progress: "p" }

/** An operation with far more to say than the system's buffers take up. */
const events = 400
const message = "x".repeat(64 * 1024)

/** Serves it to anyone, from the event on that a client has; counts what was begun, told and left. */
const served = Effect.gen(function* () {
  const counts = { begun: 0, left: 0, told: 0 }
  const app = Effect.gen(function* () {
    const { headers } = yield* HttpServerRequest.HttpServerRequest
    const place = placeOf(headers["last-event-id"] ?? "")
    return yield* answer({
      request: undefined,
      stream: place === undefined ? "may" : "must",
      isFollowed: true,
      primes: true,
      headers: {},
      run: ({ begun, event }) =>
        Effect.gen(function* () {
          counts.begun++
          yield* begun(operation)
          for (let seq = (place?.after ?? 0) + 1; seq <= events; seq++) {
            yield* event({ seq, event: { _tag: "Progress", progress: seq, message } }, origin)
            counts.told++
          }
          return { jsonrpc: "2.0" as const, id: 0, result: {} }
        }).pipe(Effect.onInterrupt(() => Effect.sync(() => counts.left++))),
    })
  }).pipe(Effect.interruptible)
  const { leave, server } = yield* Effect.provide(
    BoundedServer.make,
    TestNode.settings({ STALL_TIMEOUT: "1 seconds", MAX_SOCKETS: "4" }),
  )
  yield* Layer.build(
    HttpServer.serve(app).pipe(
      Layer.provide(NodeHttpServer.layer(() => server, { port: 0, host: "127.0.0.1" })),
    ),
  )
  const address = server.address()
  const port = address === null || typeof address === "string" ? 0 : address.port
  return { counts, leave, url: `http://127.0.0.1:${port}/mcp` }
})

describe("BoundedServer", () => {
  it.scopedLive("cuts off a client that takes nothing, which then goes on and has everything once", () =>
    Effect.gen(function* () {
      const { counts, url } = yield* served
      const connection = yield* RawConnection.open(url)
      connection.read(false)
      connection.write(RawConnection.requestOf("GET", {}))
      yield* until(
        Effect.sync(() => counts.left),
        (left) => left === 1,
      )
      // What was not taken was not made either.
      assert.isBelow(counts.told, events / 2)
      connection.read(true)
      const had = [...(yield* connection.closed).matchAll(/^id: (o_1\.\d+)$/gm)].map(([, id]) => id!)
      const stream = yield* EventStream.open(url, {
        method: "GET",
        headers: { "last-event-id": had.at(-1)! },
      })
      const rest = yield* EventStream.rest(stream)
      assert.deepStrictEqual(
        [...had, ...rest.map(({ id }) => id)],
        [...Array.from({ length: events + 1 }, (_, seq) => `o_1.${seq}`), "o_1.end"],
      )
      assert.strictEqual(counts.begun, 2)
    }),
  )

  it.scopedLive("lets go of what carries no answer once it leaves, and of the rest with its answer", () =>
    Effect.gen(function* () {
      const { leave, url } = yield* served
      const silent = yield* RawConnection.open(url)
      const busy = yield* RawConnection.open(url)
      busy.write(RawConnection.requestOf("GET", {}))
      yield* until(
        Effect.sync(() => busy.text()),
        (text) => text.includes("200 OK"),
      )
      busy.read(false)
      const left = yield* Effect.fork(leave(Duration.seconds(10)))
      // One that comes now was sent before anyone knew.
      const late = yield* RawConnection.open(url)
      yield* Effect.sleep("100 millis")
      late.write(RawConnection.requestOf("GET", {}))
      assert.include(yield* late.closed, "id: o_1.end")
      assert.strictEqual(yield* silent.closed, "")
      assert.isTrue(Option.isNone(yield* Fiber.poll(left)))
      busy.read(true)
      assert.include(yield* busy.closed, "id: o_1.end")
      yield* Fiber.join(left)
    }),
  )

  it.scopedLive("waits for a client that is slow, as long as it takes something", () =>
    Effect.gen(function* () {
      const { counts, url } = yield* served
      const connection = yield* RawConnection.open(url)
      connection.write(RawConnection.requestOf("GET", { connection: "close" }))
      for (let turn = 0; turn < 15; turn++) {
        connection.read(false)
        yield* Effect.sleep("200 millis")
        connection.read(true)
        yield* Effect.sleep("20 millis")
      }
      connection.read(true)
      assert.include(yield* connection.closed, "id: o_1.end")
      assert.strictEqual(counts.left, 0)
    }),
  )

  it.scopedLive("holds as many connections as it may, and closes one more without a word", () =>
    Effect.gen(function* () {
      const { url } = yield* served
      const held = [yield* RawConnection.open(url), yield* RawConnection.open(url)]
      for (let count = held.length; count < 4; count++) yield* RawConnection.open(url)
      const surplus = yield* RawConnection.open(url)
      assert.strictEqual(yield* surplus.closed, "")
      held[0]!.write(RawConnection.requestOf("GET", { connection: "close" }))
      assert.include(yield* held[0]!.closed, "id: o_1.end")
      const next = yield* RawConnection.open(url)
      next.write(RawConnection.requestOf("GET", { connection: "close" }))
      assert.include(yield* next.closed, "id: o_1.end")
    }),
  )
})
