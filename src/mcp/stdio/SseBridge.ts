/**
 * The former transport of MCP, HTTP with SSE, for clients that know no other, by way of a cluster that runs. Each
 * stream of `/sse` is a bridge of its own, with a connection and a session of its own, which end with it. Messages are
 * posted to the address that the stream's first event names. (MCP 2024-11-05, "Transports", HTTP with SSE.)
 */
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Deferred, Effect, Queue, Stream } from "effect"
import { randomId } from "../../domain/Identity.ts"
import { hostOf, isLoopback } from "../../domain/Loopback.ts"
import { readOne } from "../Body.ts"
import { comments, frame } from "../EventStream.ts"
import { answered } from "../Refusal.ts"
import * as Bridge from "./Bridge.ts"
import { maxLine } from "./Message.ts"
import { answerMs, startMs } from "./Patience.ts"
import type { Upstream } from "./Upstream.ts"

export interface SseBridgeOptions {
  readonly upstream: Upstream
  /** Sessions outlive their connections. */
  readonly isNamed: boolean
  /** Once done, all streams end. */
  readonly leaving: Deferred.Deferred<void>
  /** Tells the user. */
  readonly log: (sentence: string) => Effect.Effect<void>
}

/** What serves `/sse`, to callers that know it by a name of their own machine: no page can rebind its name to it. */
export const make = ({ isNamed, leaving, log, upstream }: SseBridgeOptions) => {
  const bridges = new Map<string, Bridge.Bridge>()

  const events = Stream.unwrapScoped(
    Effect.gen(function* () {
      const lines = yield* Queue.bounded<string>(maxWaiting)
      const bridge = yield* Bridge.make({
        upstream,
        write: (line) => Effect.asVoid(Queue.offer(lines, line)),
        log,
        isNamed,
        startMs,
        answerMs,
      })
      const id = yield* Effect.acquireRelease(
        Effect.tap(randomId("c_"), (id) => Effect.sync(() => bridges.set(id, bridge))),
        (id) => Effect.sync(() => bridges.delete(id)),
      )
      const messages = Stream.map(Stream.fromQueue(lines, { maxChunkSize: 1 }), (data) =>
        frame({ event: "message", data }),
      )
      return Stream.concat(
        Stream.succeed(frame({ event: "endpoint", data: `/message?id=${id}` })),
        Stream.merge(messages, comments),
      )
    }),
  )

  const open = Effect.sync(() =>
    bridges.size >= maxStreams
      ? plain(503, `${maxStreams} streams are open: close some.`)
      : HttpServerResponse.stream(Stream.interruptWhenDeferred(events, leaving), {
          contentType: "text/event-stream",
          headers: { "cache-control": "no-cache, no-transform" },
        }),
  )

  const take = Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const bridge = bridges.get(new URL(request.url, "http://localhost").searchParams.get("id") ?? "")
    if (bridge === undefined) return plain(404, "There is no such stream: open one at /sse.")
    yield* bridge.receive(JSON.stringify(yield* readOne(request, maxLine)))
    return HttpServerResponse.empty({ status: 202 })
  }).pipe(answered)

  return HttpRouter.empty.pipe(
    HttpRouter.get("/sse", open),
    HttpRouter.post("/message", take),
    HttpRouter.all("*", Effect.succeed(plain(404, "MCP over SSE is served at /sse."))),
    HttpRouter.use((handler) =>
      Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers: { host, origin } }) =>
        isLocal(`http://${host}`) && (origin === undefined || isLocal(origin))
          ? handler
          : Effect.succeed(plain(403, "The Host or the Origin is not of this machine.")),
      ),
    ),
  )
}

/** Open at once; Arena opens one, and another to see that the server is there. */
const maxStreams = 16

/** Messages that wait for a slow client. */
const maxWaiting = 16

const plain = (status: number, text: string) => HttpServerResponse.text(`${text}\n`, { status })

const isLocal = (url: string) => isLoopback(hostOf(url))
