import type { HttpServerResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Scope, Stream, TestClock } from "effect"
import type { Origin } from "../../src/domain/Event.ts"
import { ConnectionId, OperationId } from "../../src/domain/Identity.ts"
import { answer, type AnswerOptions, type Follower } from "../../src/mcp/EventStream.ts"

const operation = OperationId.make("o_1")

const origin: Origin = { connection: ConnectionId.make(`c_${"0".repeat(32)}`), request: 0, progress: "p" }

const message = { jsonrpc: "2.0" as const, id: 0, result: {} }

const tell = ({ event }: Follower, count: number) =>
  Effect.forEach(
    Array.from({ length: count }, (_, index) => index + 1),
    (seq) => event({ seq, event: { _tag: "Progress", progress: seq, message: "more" } }, origin),
    { discard: true },
  )

/** The answer to a request whose client wants to be told of its progress. */
const answered = <E = never>(options: Pick<AnswerOptions<E>, "run"> & Partial<AnswerOptions<E>>) =>
  answer({ request: undefined, stream: "may", isFollowed: true, primes: true, headers: {}, ...options })

/** All that a client of a stream reads. */
const textOf = ({ body }: HttpServerResponse.HttpServerResponse) =>
  body._tag === "Stream"
    ? Effect.orDie(Stream.runFold(Stream.decodeText(body.stream), "", (all, text) => all + text))
    : Effect.dieMessage(`a body that is ${body._tag}`)

describe("EventStream", () => {
  it.scoped("tells a log's entries and questions that way too, each question under its event's name", () =>
    Effect.gen(function* () {
      const response = yield* answered({
        run: ({ begun, event }) =>
          Effect.gen(function* () {
            yield* begun(operation)
            yield* event({ seq: 1, event: { _tag: "Log", level: "info", data: "started" } }, origin)
            const params = { message: "which?" }
            yield* event({ seq: 2, event: { _tag: "Question", kind: "elicitation", params } }, origin)
            return message
          }),
      })
      const text = yield* textOf(response)
      assert.include(
        text,
        'id: o_1.1\ndata: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info",',
      )
      assert.include(text, 'id: o_1.2\ndata: {"jsonrpc":"2.0","id":"o_1.2","method":"elicitation/create",')
    }),
  )

  it.scoped("answers a client that takes no stream, however much is told on the way", () =>
    Effect.gen(function* () {
      const waiting = yield* Effect.fork(
        answered({
          stream: "never",
          run: (follower) =>
            Effect.zipRight(follower.begun(operation), Effect.as(tell(follower, 100), message)),
        }),
      )
      yield* TestClock.adjust("1 seconds")
      const answer = yield* Fiber.poll(waiting)
      const body = Option.isSome(answer) ? (yield* answer.value).body : undefined
      assert.strictEqual(body?._tag, "Uint8Array")
    }),
  )

  it.scoped("ends a stream whose answer will never come", () =>
    Effect.gen(function* () {
      const response = yield* answered({
        run: (follower) =>
          Effect.zipRight(follower.begun(operation), Effect.delay(Effect.dieMessage("broken"), "5 seconds")),
      })
      const reading = yield* Effect.fork(textOf(response))
      yield* TestClock.adjust("6 seconds")
      const text = yield* Fiber.poll(reading)
      assert.isTrue(Option.isSome(text))
      assert.notInclude(yield* Fiber.join(reading), "result")
    }),
  )

  it.effect("stops its work with the request, also where nobody began to read the stream", () =>
    Effect.gen(function* () {
      let stopped = false
      const scope = yield* Scope.make()
      const response = yield* answered({
        run: (follower) =>
          Effect.zipRight(follower.begun(operation), Effect.never).pipe(
            Effect.onInterrupt(() => Effect.sync(() => (stopped = true))),
          ),
      }).pipe(Scope.extend(scope))
      assert.strictEqual(response.body._tag, "Stream")
      assert.isFalse(stopped)
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(stopped)
    }),
  )
})
