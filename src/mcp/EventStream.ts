/**
 * The answer to one request: JSON where it comes at once, and a stream of server-sent events otherwise, which carries
 * what the operation says on its way. Each event is named `<operation>.<number>`, the answer `<operation>.end`, so that
 * a client whose connection breaks goes on from the last one that it has, at any node.
 * (MCP 2025-11-25, "Transports", "Resumability and Redelivery".)
 */
import { HttpServerResponse } from "@effect/platform"
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js"
import { Deferred, Duration, Effect, Fiber, Option, Queue, Stream } from "effect"
import type { NumberedEvent, Origin } from "../domain/Event.ts"
import { OperationId } from "../domain/Identity.ts"

/** What is told of an operation while it is waited for. */
export interface Follower {
  /** Under this id it can be resumed from now on. */
  readonly begun: (operation: OperationId) => Effect.Effect<unknown>
  readonly event: (event: NumberedEvent, origin: Origin | undefined) => Effect.Effect<unknown>
  /** Its client wants no answer any more. */
  readonly cancelled: Effect.Effect<unknown>
}

export interface AnswerOptions<E> {
  /** Whether the client takes a stream, and whether the answer must be one. */
  readonly stream: "never" | "may" | "must"
  /** The client waits for news, also before the operation has any. */
  readonly isFollowed: boolean
  /** The client keeps its place in a stream of which it has seen the first event, and only then. */
  readonly primes: boolean
  readonly headers: Readonly<Record<string, string>>
  /** The answer; undefined where there is nothing to answer any more. */
  readonly run: (follower: Follower) => Effect.Effect<JSONRPCMessage | undefined, E>
}

/**
 * Answers a request. What works on it ends with the request's scope, and so with its client; the operation goes on.
 * Where it fails, so does the answer, unless its stream has begun: then that ends without one.
 */
export const answer = Effect.fnUntraced(function* <E>({
  stream,
  isFollowed,
  primes,
  headers,
  run,
}: AnswerOptions<E>) {
  const frames = yield* Queue.bounded<Uint8Array | undefined>(maxWaiting)
  const begun = yield* Deferred.make<OperationId>()
  const spoke = yield* Deferred.make<void>()
  const cancelled = yield* Deferred.make<undefined>()
  const end = Queue.offer(frames, undefined)
  const named = Effect.fnUntraced(function* (name: string, message: JSONRPCMessage) {
    const operation = yield* Deferred.poll(begun)
    const id = Option.isSome(operation) ? `${yield* operation.value}.${name}` : undefined
    yield* Queue.offer(frames, frame({ id, data: JSON.stringify(message) }))
  })
  const work = yield* run({
    begun: (operation) =>
      Effect.zipRight(
        Deferred.succeed(begun, operation),
        isFollowed ? Deferred.succeed(spoke, undefined) : Effect.void,
      ),
    event: (event, origin) =>
      Effect.zipRight(
        Deferred.succeed(spoke, undefined),
        // Without a stream nobody would take it, and the answer would wait behind it.
        origin?.progress === undefined || stream === "never"
          ? Effect.void
          : named(String(event.seq), progress(origin.progress, event)),
      ),
    cancelled: Deferred.succeed(cancelled, undefined),
  }).pipe(
    Effect.raceFirst(Deferred.await(cancelled)),
    Effect.tap((message) =>
      Effect.zipRight(message === undefined ? Effect.void : named("end", message), end),
    ),
    Effect.tapErrorCause(() => end),
    Effect.forkScoped,
  )
  const later = Effect.zipRight(Deferred.await(begun), Effect.sleep(atOnce))
  const quick = yield* Effect.raceFirst(
    Effect.asSome(Fiber.join(work)),
    stream === "never"
      ? Effect.never
      : Effect.as(Effect.raceFirst(Deferred.await(spoke), later), Option.none()),
  )
  if (Option.isSome(quick) && (quick.value === undefined || stream !== "must")) {
    return quick.value === undefined
      ? HttpServerResponse.empty({ status: stream === "must" ? 204 : 202, headers })
      : HttpServerResponse.unsafeJson(quick.value, { headers })
  }
  const operation = yield* Deferred.await(begun)
  const prime = primes && stream === "may" ? [frame({ id: `${operation}.0`, retry, data: "" })] : []
  const next = Effect.mapError(
    Effect.filterOrFail(Queue.take(frames), (frame) => frame !== undefined),
    () => Option.none(),
  )
  const events = Stream.concat(Stream.fromIterable(prime), Stream.repeatEffectOption(next))
  const comments = Stream.repeatEffect(Effect.delay(Effect.succeed(comment), keepAlive))
  return HttpServerResponse.stream(
    Stream.merge(events, comments, { haltStrategy: "left" }),
    streaming(headers),
  )
})

/** An operation and the number of its last event that a client has; 0 for none, undefined for its end. */
export const placeOf = (lastEventId: string) => {
  const [, operation, name] = /^([A-Za-z0-9_-]{1,64})\.(\d{1,15}|end)$/.exec(lastEventId) ?? []
  return operation === undefined || operation === "_"
    ? undefined
    : { operation: OperationId.make(operation), after: name === "end" ? undefined : Number(name) }
}

/** Shows now and then that the server is there. */
export const comment = new TextEncoder().encode(": keep-alive\n\n")
export const keepAlive = Duration.seconds(15)

export const streaming = (headers: Readonly<Record<string, string>>) => ({
  contentType: "text/event-stream",
  headers: { "cache-control": "no-cache, no-transform", "x-accel-buffering": "no", ...headers },
})

const progress = (token: string | number, { progress, message }: NumberedEvent): JSONRPCMessage => ({
  jsonrpc: "2.0",
  method: "notifications/progress",
  params: { progressToken: token, progress, message },
})

const frame = ({
  id,
  retry,
  data,
}: {
  readonly id?: string | undefined
  readonly retry?: number
  readonly data: string
}) =>
  new TextEncoder().encode(
    `${id === undefined ? "" : `id: ${id}\n`}${retry === undefined ? "" : `retry: ${retry}\n`}data: ${data}\n\n`,
  )

/** Frames that wait for a slow client; the operation's log holds the rest. */
const maxWaiting = 16

/** What comes within this time is answered with JSON. */
const atOnce = Duration.millis(300)

/** When a client is to connect again, in milliseconds. */
const retry = 500
