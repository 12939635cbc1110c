import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream, TestClock } from "effect"
import * as Bridge from "../../../src/mcp/stdio/Bridge.ts"
import {
  type Answer,
  type Connection,
  ConnectionEnded,
  Refused,
  Unreachable,
  type UpstreamError,
} from "../../../src/mcp/stdio/Upstream.ts"

interface Said {
  readonly id?: string | number
  readonly method?: string
  readonly params?: { readonly requestId?: number; readonly _meta?: Record<string, string> }
  readonly error?: { readonly message: string }
}

/** Answers a message, or says how it does not: the boundary that is faked here. */
type Cluster = (message: Said, connection: Connection | undefined) => Effect.Effect<Answer, UpstreamError>

const lost = new Unreachable({ problem: "ECONNRESET" })
const nothing: Answer = { speaks: false, streams: false, connection: undefined, events: Stream.empty }
const json = (message: unknown): Answer => ({
  ...nothing,
  speaks: true,
  events: Stream.make({ id: undefined, data: JSON.stringify(message) }),
})
const result = ({ id }: Said) => json({ jsonrpc: "2.0", id, result: {} })

/** A bridge whose client has said hello; `posted` and `written` hold what came after. */
const make = (cluster: Cluster, options: Partial<Bridge.BridgeOptions> = {}) =>
  Effect.gen(function* () {
    const [posted, written, logged]: [Array<Said>, Array<Said>, Array<string>] = [[], [], []]
    let opened = 0
    const bridge = yield* Bridge.make({
      upstream: {
        post: (text, connection) =>
          Effect.suspend(() => {
            const message = JSON.parse(text) as Said
            posted.push(message)
            if (message.method !== "initialize") return cluster(message, connection)
            const welcome = json({
              jsonrpc: "2.0",
              id: message.id,
              result: { protocolVersion: "2025-11-25" },
            })
            return Effect.succeed({ ...welcome, connection: `c_${++opened}` })
          }),
        listen: () => Effect.never,
        close: () => Effect.void,
      },
      write: (line) => Effect.sync(() => void written.push(JSON.parse(line))),
      log: (sentence) => Effect.sync(() => void logged.push(sentence)),
      isNamed: true,
      startMs: 8000,
      answerMs: 60_000,
      ...options,
    })
    const say = (message: object) => bridge.receive(JSON.stringify({ jsonrpc: "2.0", ...message }))
    yield* say({ id: "hello", method: "initialize", params: {} })
    yield* settle
    posted.length = written.length = 0
    return { say, posted, written, logged, opened: () => opened }
  })

/** Lets every fiber run until it waits. */
const settle = Effect.repeatN(Effect.yieldNow(), 200)

const call = (id: number, meta?: object) => ({
  id,
  method: "tools/call",
  params: { name: "exec", arguments: { command: "true" }, ...(meta === undefined ? {} : { _meta: meta }) },
})

const operationOf = ({ params }: Said) => params?._meta?.["io.codegen-mcp/operation-id"]

describe("Bridge", () => {
  it.scoped("repeats a call that nobody answered under the same operation id", () =>
    Effect.gen(function* () {
      let tries = 0
      const { posted, say, written } = yield* make((message) =>
        ++tries < 4 ? Effect.fail(lost) : Effect.succeed(result(message)),
      )
      yield* say(call(1))
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(
        written.map(({ id }) => id),
        [1],
      )
      assert.strictEqual(posted.length, 4)
      assert.strictEqual(new Set(posted.map(operationOf)).size, 1)
      assert.match(operationOf(posted[0]!) ?? "", /^o_[0-9a-f]{32}$/)
    }),
  )

  it.scoped("leaves an operation id that the client chose as it is", () =>
    Effect.gen(function* () {
      const { posted, say } = yield* make((message) => Effect.succeed(result(message)))
      yield* say(call(1, { "io.codegen-mcp/operation-id": "mine", progressToken: 7 }))
      yield* settle
      assert.deepStrictEqual(posted[0]?.params?._meta, {
        "io.codegen-mcp/operation-id": "mine",
        progressToken: 7,
      } as never)
    }),
  )

  it.scoped("answers a request after a minute of silence with what to do, and not before", () =>
    Effect.gen(function* () {
      const { say, written } = yield* make(() => Effect.fail(lost))
      yield* say(call(1))
      yield* TestClock.adjust("57 seconds")
      assert.deepStrictEqual(written, [])
      yield* TestClock.adjust("4 seconds")
      assert.match(written[0]?.error?.message ?? "", /ECONNRESET.*check --url.*may have run/)
      assert.strictEqual(written[0]?.id, 1)
    }),
  )

  it.scoped("does not wait longer for a cluster that takes requests and says nothing", () =>
    Effect.gen(function* () {
      const { say, written } = yield* make(() => Effect.never)
      yield* say(call(1))
      yield* TestClock.adjust("61 seconds")
      assert.match(written[0]?.error?.message ?? "", /does not answer/)
    }),
  )

  it.scoped("does not repeat what is refused", () =>
    Effect.gen(function* () {
      const { posted, say, written } = yield* make(() =>
        Effect.fail(new Refused({ code: -32000, problem: "Set the token." })),
      )
      yield* say(call(1))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(posted.length, 1)
      assert.deepStrictEqual(written, [
        { jsonrpc: "2.0", id: 1, error: { code: -32000, message: "Set the token." } },
      ] as never)
    }),
  )

  it.scoped(
    "does not repeat a call that was cancelled, and cancels it again where it may have come later",
    () =>
      Effect.gen(function* () {
        const { posted, say, written } = yield* make(({ method }) =>
          method === "tools/call" ? Effect.delay(Effect.fail(lost), "1 seconds") : Effect.succeed(nothing),
        )
        yield* say(call(1))
        yield* settle
        yield* say({ method: "notifications/cancelled", params: { requestId: 1 } })
        yield* TestClock.adjust("2 minutes")
        assert.deepStrictEqual(
          posted.map(({ method }) => method),
          ["tools/call", "notifications/cancelled", "notifications/cancelled"],
        )
        assert.deepStrictEqual(written, [])
      }),
  )

  it.scoped("opens one new connection for a loss that many requests learn of, and repeats them there", () =>
    Effect.gen(function* () {
      const { opened, posted, say, written } = yield* make((message, connection) =>
        connection?.id === "c_1" ? Effect.fail(new ConnectionEnded()) : Effect.succeed(result(message)),
      )
      for (const id of [1, 2, 3]) yield* say(call(id))
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(opened(), 2)
      assert.sameMembers(
        written.map(({ id }) => id),
        [1, 2, 3],
      )
      assert.deepInclude(
        posted.find(({ method }) => method === "initialize"),
        { id: "hello" },
      )
    }),
  )

  it.scoped("runs no call again that was sent to an unnamed session which is lost", () =>
    Effect.gen(function* () {
      const { posted, say, written } = yield* make(
        (message, connection) =>
          connection?.id === "c_1"
            ? Effect.delay(Effect.fail(new ConnectionEnded()), "10 millis")
            : Effect.succeed(result(message)),
        { isNamed: false },
      )
      for (const id of [1, 2]) yield* say(call(id))
      yield* TestClock.adjust("1 seconds")
      assert.isTrue(written.length === 2 && written.every(({ error }) => /all files/.test(error!.message)))
      yield* say(call(3))
      yield* settle
      assert.deepStrictEqual(written.at(-1), { jsonrpc: "2.0", id: 3, result: {} } as never)
      assert.deepStrictEqual(
        posted.filter(({ method }) => method === "tools/call").map(({ id }) => id),
        [1, 2, 3],
      )
    }),
  )

  it.scoped("sends what follows a notification once that has arrived", () =>
    Effect.gen(function* () {
      const { posted, say } = yield* make((message) =>
        message.method === "notifications/initialized"
          ? Effect.delay(Effect.succeed(nothing), "500 millis")
          : Effect.succeed(result(message)),
      )
      const saying = yield* Effect.fork(
        Effect.zipRight(say({ method: "notifications/initialized" }), say({ id: 1, method: "tools/list" })),
      )
      yield* TestClock.adjust("400 millis")
      assert.deepStrictEqual(
        posted.map(({ method }) => method),
        ["notifications/initialized"],
      )
      yield* TestClock.adjust("100 millis")
      yield* saying.await
      yield* settle
      assert.deepStrictEqual(
        posted.map(({ method }) => method),
        ["notifications/initialized", "tools/list"],
      )
    }),
  )
})
