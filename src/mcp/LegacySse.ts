/**
 * HTTP+SSE of the protocol's first revision: a stream at `/sse` that carries all answers, and `/messages` that takes
 * the client's messages, on any node. The node that holds the stream does the work; another passes messages on to it
 * through the owner of the connection's session. The stream's end is the client's goodbye.
 * (MCP 2024-11-05, "Transports", HTTP with SSE.)
 */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import {
  isInitializeRequest,
  isJSONRPCRequest,
  type JSONRPCMessage,
} from "@modelcontextprotocol/sdk/types.js"
import { Cause, Deferred, Effect, Option, Schema, Stream } from "effect"
import type { Explained } from "../domain/Failure.ts"
import type { OperationId, Principal } from "../domain/Identity.ts"
import { Sessions } from "../session/Sessions.ts"
import { settings } from "../Settings.ts"
import type { Admission } from "./Admission.ts"
import { Connections } from "./Connections.ts"
import { Catalogue } from "./Catalogue.ts"
import * as Conversation from "./Conversation.ts"
import * as Door from "./Door.ts"
import { comments, frame, messageOf, streaming, updated } from "./EventStream.ts"
import * as Frames from "./Frames.ts"
import { answered, refuse, unavailable } from "./Refusal.ts"
import * as Body from "./Body.ts"

/** Makes the handlers of both paths. Once `leaving` is done, streams end as soon as nothing is worked on for them. */
export const make = Effect.fnUntraced(function* (leaving: Deferred.Deferred<void>, admission: Admission) {
  const admit = yield* Door.make
  const connections = yield* Connections
  const sessions = yield* Sessions
  const conversation = yield* Conversation.make(leaving)
  const { names } = yield* Catalogue
  const later = (error: Explained) => unavailable(names.inError(error))
  const maxBody = yield* settings.maxBody.config

  /** Answers one message of the client into its stream. */
  const take = Effect.fnUntraced(function* (
    principal: Principal,
    id: string,
    message: JSONRPCMessage,
    say: (message: JSONRPCMessage) => Effect.Effect<unknown>,
  ) {
    const connection = yield* connections.find(principal, id)
    if (connection === undefined) return yield* new ConnectionGone()
    if (!isJSONRPCRequest(message)) {
      yield* conversation.hear(connection, message)
      return
    }
    if (isInitializeRequest(message)) {
      const { answer, hello } = yield* conversation.welcome(message)
      if (hello !== undefined) yield* connections.introduce(connection.id, hello)
      yield* say(answer)
      return
    }
    const begun = yield* Deferred.make<OperationId>()
    const ended = yield* Deferred.make<JSONRPCMessage | undefined>()
    const reply = conversation.reply(principal, connection, message, {
      takesEvents: true,
      begun: (operation) => Deferred.succeed(begun, operation),
      event: Effect.fnUntraced(function* (event, origin) {
        const name = `${yield* Deferred.await(begun)}.${event.seq}`
        const told = origin === undefined ? undefined : messageOf(name, event.event, origin)
        if (told !== undefined) yield* say(told)
      }),
      end: (answer) => Deferred.succeed(ended, answer),
      isResumable: () => false,
    })
    const answer = yield* Effect.raceFirst(reply, Deferred.await(ended))
    if (answer !== undefined) yield* say(answer)
  })

  const stream = Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const principal = yield* admit(request)
    yield* admission.stream(principal)
    const name = yield* Conversation.sessionNameIn(request.url)
    const unknown = { protocolVersion: "2024-11-05", client: {}, capabilities: {} }
    const connection = yield* Effect.acquireRelease(
      connections.open(principal, name, unknown).pipe(Effect.catchAll(later)),
      (connection) => Effect.ignore(connections.close(principal, connection)),
    )
    yield* connections.keep(connection.id)
    const frames = yield* Frames.make
    const say = (message: JSONRPCMessage) =>
      frames.add(frame({ event: "message", data: JSON.stringify(message) }))
    yield* frames.add(frame({ event: "endpoint", data: `/messages?connection=${connection.id}` }))
    const permits = yield* Effect.makeSemaphore(maxAtOnce)
    const others = yield* Effect.makeSemaphore(maxAtOnce)
    const answer = (message: JSONRPCMessage) =>
      take(principal, connection.id, message, say).pipe(
        // Its client waits for an answer, whatever became of it.
        Effect.catchAllCause((cause) => {
          const error = Option.getOrUndefined(Cause.failureOption(cause))
          const problem = error === undefined ? "The server failed while it worked on this." : error.message
          return isJSONRPCRequest(message)
            ? say({ jsonrpc: "2.0", id: message.id, error: { code: -32000, message: problem } })
            : Effect.logDebug("a message was not taken", problem)
        }),
      )
    const work = conversation.notices(connection, null, true).pipe(
      Stream.flatMap(({ notices }) => Stream.fromIterable(notices)),
      Stream.runForEach(
        Effect.fnUntraced(function* ({ notice }) {
          if (notice._tag === "Updated") {
            yield* say(updated(notice.uri))
            return
          }
          const message = notice.message as JSONRPCMessage
          // What ends a call, or answers its question, does not wait behind it.
          const among = isJSONRPCRequest(message) ? permits : others
          yield* among.take(1)
          yield* answer(message).pipe(Effect.ensuring(among.release(1)), Effect.forkScoped)
        }),
      ),
    )
    const worker = yield* Effect.forkScoped(work)
    // Its client cannot come back for what is being worked on: that is answered first, and nothing begun after it.
    yield* Deferred.await(leaving).pipe(
      Effect.zipRight(permits.take(maxAtOnce)),
      Effect.zipRight(frames.end),
      Effect.forkScoped,
    )
    const events = Stream.merge(frames.stream, comments, { haltStrategy: "left" })
    return HttpServerResponse.stream(Stream.interruptWhen(events, worker.await), streaming({}))
  })

  const post = Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const principal = yield* admit(request)
    yield* admission.request(principal)
    const id = new URL(request.url, "http://localhost").searchParams.get("connection") ?? ""
    const connection = yield* Effect.catchAll(connections.find(principal, id), later)
    if (connection === undefined) {
      return yield* refuse(404, -32001, "There is no such connection: open a stream at /sse first.")
    }
    const message = yield* Effect.flatMap(Body.readOne(request, maxBody), Body.messageOf)
    const isTaken = yield* Effect.catchAll(sessions.post(connection.session, connection.id, message), later)
    if (!isTaken) return yield* refuse(404, -32001, "This connection has no stream: open one at /sse.")
    return HttpServerResponse.text("Accepted", { status: 202 })
  })

  return { stream: answered(stream), post: answered(post) }
})

/** The lease of the stream's connection is over. */
class ConnectionGone extends Schema.TaggedError<ConnectionGone>()("ConnectionGone", {}) {
  override get message() {
    return "This connection has ended: open another stream at /sse."
  }
}

/** Requests of one client that are worked on at once, and other messages. */
const maxAtOnce = 64
