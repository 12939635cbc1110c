/**
 * MCP over Streamable HTTP at `/mcp`, the same on every node: what a connection needs to be known is in
 * Postgres, so each request may land anywhere. (MCP 2025-11-25, "Transports", Streamable HTTP.)
 */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import {
  type InitializeRequest,
  isInitializeRequest,
  isJSONRPCRequest,
  type JSONRPCMessage,
  type JSONRPCRequest,
  type RequestId,
  SUPPORTED_PROTOCOL_VERSIONS,
} from "@modelcontextprotocol/sdk/types.js"
import { Deferred, Effect, Option, Schema, Stream } from "effect"
import type { Explained } from "../domain/Failure.ts"
import type { Principal } from "../domain/Identity.ts"
import { settings } from "../Settings.ts"
import type { Admission } from "./Admission.ts"
import { Catalogue } from "./Catalogue.ts"
import { type Connection, Connections } from "./Connections.ts"
import * as Conversation from "./Conversation.ts"
import * as Door from "./Door.ts"
import {
  answer,
  comment,
  frame,
  keepAlive,
  noticeOf,
  type Place,
  placeOf,
  retry,
  streaming,
  updated,
} from "./EventStream.ts"
import { refused } from "./Presentation.ts"
import { answered, refuse, unavailable } from "./Refusal.ts"
import { messageOf, readOne } from "./Body.ts"
import * as Sessionless from "./Sessionless.ts"
import { ToolCalls } from "./ToolCalls.ts"

/**
 * Makes the handler of `/mcp`. Refusals are responses, so it never fails. Once `leaving` is done, streams end
 * at once.
 */
export const make = Effect.fnUntraced(function* (leaving: Deferred.Deferred<void>, admission: Admission) {
  const admit = yield* Door.make
  const connections = yield* Connections
  const tools = yield* ToolCalls
  const { names } = yield* Catalogue
  const later = (error: Explained) => unavailable(names.inError(error))
  const conversation = yield* Conversation.make(leaving)
  const sessionless = yield* Sessionless.make(conversation.farewell, leaving)
  const maxBody = yield* settings.maxBody.config

  const initialize = Effect.fnUntraced(function* (
    principal: Principal,
    request: InitializeRequest & JSONRPCRequest,
    url: string,
  ) {
    const name = yield* Conversation.sessionNameIn(url)
    const { answer, hello } = yield* conversation.welcome(request)
    if (hello === undefined) return HttpServerResponse.unsafeJson(answer)
    const opened = yield* Effect.either(connections.open(principal, name, hello))
    if (opened._tag === "Left") {
      const { message, next } = names.inError(opened.left)
      const error = { code: -32000, message: `${message} ${next}` }
      return HttpServerResponse.unsafeJson({ jsonrpc: "2.0", id: request.id, error })
    }
    return HttpServerResponse.unsafeJson(answer, { headers: { "mcp-session-id": opened.right.id } })
  })

  const post = Effect.fnUntraced(function* (
    principal: Principal,
    request: HttpServerRequest.HttpServerRequest,
  ) {
    const body = yield* readOne(request, maxBody)
    const modern = yield* sessionless(principal, request, body)
    if (modern !== undefined) return modern
    const message = yield* messageOf(body)
    if (isJSONRPCRequest(message) && message.method === "initialize") {
      return isInitializeRequest(message)
        ? yield* initialize(principal, message, request.url)
        : yield* refuse(400, -32602, "The parameters of `initialize` are not complete.")
    }
    const connection = yield* connectionOf(principal, request)
    if (!isJSONRPCRequest(message)) {
      yield* admission.detached(principal, Effect.ignore(conversation.hear(connection, message)))
      return HttpServerResponse.empty({ status: 202 })
    }
    // Without room for a stream it is answered all the same.
    const streams = acceptsStream(request) && (yield* Effect.isSuccess(admission.stream(principal)))
    return yield* answer({
      request: message.id,
      stream: streams ? "may" : "never",
      isFollowed: message.params?._meta?.progressToken !== undefined,
      primes: connection.protocolVersion >= primingSince,
      headers: {},
      run: (follower) => conversation.reply(principal, connection, message, follower),
    })
  })

  /** Goes on with a request whose stream broke. */
  const resume = (
    connection: Connection,
    { operation, after, request }: Place & { readonly after: number },
  ) =>
    answer({
      request,
      stream: "must",
      isFollowed: false,
      primes: false,
      headers: { "mcp-session-id": connection.id },
      run: (follower) => {
        const again = tools.resume(connection, { operation, after }, follower).pipe(
          Effect.map((resumed): JSONRPCMessage | undefined =>
            resumed === undefined
              ? undefined
              : { jsonrpc: "2.0", id: resumed.request, result: resumed.result },
          ),
          Effect.catchTags({
            SessionClosed: () => Effect.succeed(undefined),
            SessionNotFound: () => Effect.succeed(undefined),
          }),
        )
        return again.pipe(
          // What the node that took the call had sent on may not have arrived yet.
          Effect.flatMap((message) =>
            message === undefined && request !== undefined
              ? Effect.map(Effect.delay(again, "1 second"), (message) => message ?? lost(request))
              : Effect.succeed(message),
          ),
          // The other nodes go on with it.
          Effect.raceFirst(
            Effect.zipRight(Deferred.await(leaving), Effect.fail(new Conversation.NodeLeaving())),
          ),
        )
      },
      // Its client asks again, which it would not where it was told that nothing is left.
    }).pipe(Effect.catchAll(later))

  /** A stream for what the server says unasked. Its comments show that the server is there; it keeps the lease. */
  const listen = Effect.fnUntraced(function* (
    principal: Principal,
    request: HttpServerRequest.HttpServerRequest,
  ) {
    if (!acceptsStream(request)) {
      return yield* refuse(406, -32000, "A GET must accept text/event-stream.")
    }
    yield* admission.stream(principal)
    const connection = yield* connectionOf(principal, request)
    const lastEventId = request.headers["last-event-id"] ?? ""
    const place = placeOf(lastEventId)
    if (place !== undefined) {
      const { after } = place
      return after === undefined
        ? HttpServerResponse.empty({ status: 204 })
        : yield* resume(connection, { ...place, after })
    }
    const primes = connection.protocolVersion >= primingSince
    const notices = conversation.notices(connection, noticeOf(lastEventId), false).pipe(
      Stream.zipWithIndex,
      Stream.flatMap(([{ last, notices }, index]) => {
        const prime = index === 0 && primes ? [frame({ id: `_.${last}`, retry, data: "" })] : []
        const events = notices.flatMap(({ notice, seq }) =>
          notice._tag === "Updated"
            ? [frame({ id: `_.${seq}`, data: JSON.stringify(updated(notice.uri)) })]
            : [],
        )
        return Stream.fromIterable([...prime, ...events])
      }),
    )
    const alive = connections.find(principal, connection.id).pipe(
      Effect.orElseSucceed((): Partial<Connection> => ({})),
      Effect.filterOrFail((connection) => connection !== undefined, Option.none),
      Effect.as(comment),
    )
    const comments = Stream.repeatEffectOption(Effect.delay(alive, keepAlive))
    const events = Stream.merge(notices, comments, { haltStrategy: "either" })
    return HttpServerResponse.stream(
      Stream.interruptWhenDeferred(Stream.concat(Stream.make(comment), events), leaving),
      streaming({ "mcp-session-id": connection.id }),
    )
  })

  const connectionOf = Effect.fnUntraced(function* (
    principal: Principal,
    request: HttpServerRequest.HttpServerRequest,
  ) {
    const id = request.headers["mcp-session-id"]
    if (id === undefined) {
      return yield* refuse(400, -32000, "The header Mcp-Session-Id is missing: send `initialize` first.")
    }
    const version = request.headers["mcp-protocol-version"]
    if (version !== undefined && !SUPPORTED_PROTOCOL_VERSIONS.includes(version)) {
      return yield* refuse(
        400,
        -32000,
        `MCP-Protocol-Version ${version.slice(0, 40)} is not supported; these are: ${SUPPORTED_PROTOCOL_VERSIONS.join(", ")}.`,
      )
    }
    const connection = yield* connections.find(principal, id).pipe(Effect.catchAll(later))
    if (connection === undefined) {
      return yield* refuse(404, -32001, "There is no such connection: send `initialize` again.")
    }
    yield* connections.keep(connection.id)
    return connection
  })

  return Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const principal = yield* admit(request)
    if (request.method === "GET") return yield* listen(principal, request)
    if (request.method === "POST") {
      yield* admission.request(principal)
      return yield* post(principal, request)
    }
    if (request.method === "DELETE") {
      yield* admission.request(principal)
      const connection = yield* connectionOf(principal, request)
      yield* connections.close(principal, connection).pipe(Effect.catchAll(later))
      return HttpServerResponse.empty({ status: 200 })
    }
    return yield* refuse(405, -32000, "Use POST, GET or DELETE.", { allow: "GET, POST, DELETE" })
  }).pipe(answered)
})

const acceptsStream = ({ headers }: HttpServerRequest.HttpServerRequest) =>
  (headers["accept"] ?? "").includes("text/event-stream")

/** From this protocol version on, a client keeps its place in a stream once it has seen an event, also an empty one. */
const primingSince = "2025-11-25"

/** For a client that waits for an answer of which nobody knows anything: it may ask again. */
const lost = (request: RequestId): JSONRPCMessage => ({
  jsonrpc: "2.0",
  id: request,
  result: refused(new AnswerLost()),
})

/** The answer went with its node, and nothing that it did was recorded: it changed nothing, or was never begun. */
class AnswerLost extends Schema.TaggedError<AnswerLost>()("AnswerLost", {}) {
  override get message() {
    return "The answer to this call was lost with a node."
  }
  readonly next = "Call again."
}
