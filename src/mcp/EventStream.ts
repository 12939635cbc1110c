/**
 * The answer to one request: JSON where it comes at once, and a stream of server-sent events otherwise, which carries
 * what the operation says on its way. Each event is named `<operation>.<number>.<request>`, the answer
 * `<operation>.end.<request>`, so that a client whose connection breaks goes on from the last one that it has, at any
 * node; its request's id stands there so that it can be answered also where nothing is known of the operation any more.
 * (MCP 2025-11-25, "Transports", "Resumability and Redelivery".)
 */
import { HttpServerResponse } from "@effect/platform"
import type { JSONRPCMessage, RequestId } from "@modelcontextprotocol/sdk/types.js"
import { Deferred, Duration, Effect, Stream } from "effect"
import type { NumberedEvent, OperationEvent, Origin } from "../domain/Event.ts"
import { OperationId } from "../domain/Identity.ts"
import * as Frames from "./Frames.ts"
import { serverInfo } from "./ServerInfo.ts"

/** What is told of an operation while it is waited for. */
export interface Follower {
  /** Whether its client takes events before the answer. */
  readonly takesEvents: boolean
  /** Under this id it can be resumed from now on. */
  readonly begun: (operation: OperationId) => Effect.Effect<unknown>
  readonly event: (event: NumberedEvent, origin: Origin | undefined) => Effect.Effect<unknown>
  /** Ends it with that answer, or with none: its client wants none any more, or will take it up again elsewhere. */
  readonly end: (message: JSONRPCMessage | undefined) => Effect.Effect<unknown>
  /** Whether its client has a place in the stream, from which it goes on where that ends. */
  readonly isResumable: () => boolean
}

export interface AnswerOptions<E> {
  /** The request's id. */
  readonly request: RequestId | undefined
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
  request,
  stream,
  isFollowed,
  primes,
  headers,
  run,
}: AnswerOptions<E>) {
  const frames = yield* Frames.make
  /** The whole answer, or undefined where there is to be a stream. */
  const begin = yield* Deferred.make<{ readonly message: JSONRPCMessage | undefined } | undefined, E>()
  let operation: OperationId | undefined
  let isStream = false
  let isWhole = false
  let told = false
  let isPrimed = false
  let patience: NodeJS.Timeout | undefined
  const becomeStream = () => {
    if (isWhole || stream === "never") return
    isStream = true
    Deferred.unsafeDone(begin, Effect.succeed(undefined))
  }
  const named = (event: number | "end") =>
    operation === undefined ? undefined : nameOf(operation, event, request)
  const offer = (id: string | undefined, message: JSONRPCMessage) =>
    frames.add(frame({ id, data: JSON.stringify(message) }))
  const end = (message: JSONRPCMessage | undefined) =>
    Effect.suspend(() => {
      if (stream === "must" && message !== undefined) becomeStream()
      if (!isStream) {
        isWhole = true
        return Deferred.succeed(begin, { message })
      }
      return message === undefined ? frames.end : Effect.zipRight(offer(named("end"), message), frames.end)
    })
  yield* run({
    takesEvents: stream !== "never",
    begun: (id) =>
      Effect.sync(() => {
        operation = id
        if (isFollowed) becomeStream()
        // Every call comes by here: a timer costs less than a fiber that sleeps.
        else if (stream !== "never") patience ??= setTimeout(becomeStream, Duration.toMillis(atOnce))
      }),
    event: Effect.fnUntraced(function* (event, origin) {
      const message =
        origin === undefined ? undefined : messageOf(`${operation}.${event.seq}`, event.event, origin)
      // Without a stream nobody would take it, and the answer would wait behind it.
      if (message === undefined || stream === "never") return
      told = true
      becomeStream()
      yield* offer(named(event.seq), message)
    }),
    end,
    isResumable: () => told || isPrimed,
  }).pipe(
    Effect.flatMap(end),
    Effect.catchAllCause((cause) => (isStream ? frames.end : Deferred.failCause(begin, cause))),
    Effect.ensuring(Effect.sync(() => clearTimeout(patience))),
    Effect.forkScoped,
  )
  const whole = yield* Deferred.await(begin)
  if (whole !== undefined) {
    return whole.message === undefined
      ? HttpServerResponse.empty({ status: stream === "must" ? 204 : 202, headers })
      : HttpServerResponse.unsafeJson(whole.message, { headers })
  }
  isPrimed = primes && stream === "may"
  const prime = isPrimed ? [frame({ id: named(0), retry, data: "" })] : []
  const events = Stream.concat(Stream.fromIterable(prime), frames.stream)
  return HttpServerResponse.stream(
    Stream.merge(events, comments, { haltStrategy: "left" }),
    streaming(headers),
  )
})

/** A resource has changed, or may have. */
export const updated = (uri: string): JSONRPCMessage => ({
  jsonrpc: "2.0",
  method: "notifications/resources/updated",
  params: { uri },
})

/** A place in the stream of an answer. */
export type Place = NonNullable<ReturnType<typeof placeOf>>

/** An operation and the number of its last event that a client has; 0 for none, undefined for its end. */
export const placeOf = (lastEventId: string) => {
  const [, operation, name, request] =
    /^([A-Za-z0-9_-]{1,64})\.(\d{1,15}|end)(?:\.([A-Za-z0-9_-]{1,200}))?$/.exec(lastEventId) ?? []
  return operation === undefined || operation === "_"
    ? undefined
    : {
        operation: OperationId.make(operation),
        after: name === "end" ? undefined : Number(name),
        request: request === undefined ? undefined : requestIn(request),
      }
}

const nameOf = (operation: OperationId, event: number | "end", request: RequestId | undefined) => {
  const id = request === undefined ? "" : Buffer.from(JSON.stringify(request)).toString("base64url")
  return `${operation}.${event}${id === "" || id.length > 200 ? "" : `.${id}`}`
}

const requestIn = (encoded: string): RequestId | undefined => {
  try {
    const id: unknown = JSON.parse(Buffer.from(encoded, "base64url").toString())
    return typeof id === "string" || typeof id === "number" ? id : undefined
  } catch {
    return undefined
  }
}

/** The notice that a client of a GET stream has; null where it names none. */
export const noticeOf = (lastEventId: string) => {
  const [, number] = /^_\.(\d{1,15})$/.exec(lastEventId) ?? []
  return number === undefined ? null : Number(number)
}

/** Shows now and then that the server is there. */
export const comment = new TextEncoder().encode(": keep-alive\n\n")
export const keepAlive = Duration.seconds(15)
export const comments = Stream.repeatEffect(Effect.delay(Effect.succeed(comment), keepAlive))

export const streaming = (headers: Readonly<Record<string, string>>) => ({
  contentType: "text/event-stream",
  headers: { "cache-control": "no-cache, no-transform", "x-accel-buffering": "no", ...headers },
})

/** An event as its client is to see it; undefined where it did not ask for such. A question has the event's name as its id. */
export const messageOf = (
  id: string,
  event: OperationEvent,
  { progress }: Origin,
): JSONRPCMessage | undefined => {
  switch (event._tag) {
    case "Progress": {
      const { _tag, ...params } = event
      return progress === undefined
        ? undefined
        : {
            jsonrpc: "2.0",
            method: "notifications/progress",
            params: { progressToken: progress, ...params },
          }
    }
    case "Log":
      return {
        jsonrpc: "2.0",
        method: "notifications/message",
        params: { level: event.level, logger: serverInfo.name, data: event.data },
      }
    case "Question":
      return { jsonrpc: "2.0", id, method: methods[event.kind], params: event.params }
  }
}

/** What the protocol calls the questions. */
export const methods = { elicitation: "elicitation/create", sampling: "sampling/createMessage" } as const

export const frame = ({
  id,
  event,
  retry,
  data,
}: {
  readonly id?: string | undefined
  readonly event?: string
  readonly retry?: number
  readonly data: string
}) =>
  new TextEncoder().encode(
    `${id === undefined ? "" : `id: ${id}\n`}${event === undefined ? "" : `event: ${event}\n`}${retry === undefined ? "" : `retry: ${retry}\n`}data: ${data}\n\n`,
  )

/** What comes within this time is answered with JSON. */
export const atOnce = Duration.millis(300)

/** When a client is to connect again, in milliseconds. */
export const retry = 500
