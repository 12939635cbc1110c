/**
 * MCP over Streamable HTTP at `/mcp`, the same on every node: what a connection needs to be known is in
 * Postgres, so each request may land anywhere. (MCP 2025-11-25, "Transports", Streamable HTTP.)
 */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import {
  CancelledNotificationSchema,
  isInitializeRequest,
  isJSONRPCNotification,
  isJSONRPCRequest,
  type JSONRPCMessage,
  JSONRPCMessageSchema,
  type InitializeRequest,
  type JSONRPCRequest,
  SUPPORTED_PROTOCOL_VERSIONS,
} from "@modelcontextprotocol/sdk/types.js"
import { Deferred, Duration, Effect, Option, Schema, Stream } from "effect"
import type { QuestionReply } from "../domain/Event.ts"
import type { OperationId, Principal } from "../domain/Identity.ts"
import { SessionName } from "../domain/Session.ts"
import type { SessionError } from "../domain/SessionError.ts"
import { settings } from "../Settings.ts"
import { Catalogue } from "./Catalogue.ts"
import { type Connection, Connections } from "./Connections.ts"
import { answer, comment, keepAlive, placeOf, streaming } from "./EventStream.ts"
import { Guard } from "./Guard.ts"
import { respond } from "./McpServer.ts"
import { refused } from "./Presentation.ts"
import { Principals } from "./Principals.ts"
import { refuse } from "./Refusal.ts"
import { readBody } from "./RequestBody.ts"
import { ToolCalls } from "./ToolCalls.ts"

/**
 * Makes the handler of `/mcp`. Refusals are responses, so it never fails. Once `leaving` is done, streams end
 * at once, and calls that are still waited for after half of SHUTDOWN_TIMEOUT are answered without their outcome.
 */
export const make = Effect.fnUntraced(function* (leaving: Deferred.Deferred<void>) {
  const guard = yield* Guard
  const principals = yield* Principals
  const connections = yield* Connections
  const tools = yield* ToolCalls
  const catalogue = yield* Catalogue
  const maxBody = yield* settings.maxBody.config
  const patience = Duration.times(yield* settings.shutdownTimeout.config, 0.5)
  const left = Effect.zipRight(Deferred.await(leaving), Effect.sleep(patience)).pipe(
    Effect.as(refused(new NodeLeaving())),
  )

  const initialize = Effect.fnUntraced(function* (
    principal: Principal,
    request: InitializeRequest & JSONRPCRequest,
    url: URL,
  ) {
    const wanted = url.searchParams.get("session")
    const name = wanted === null ? Option.none() : Schema.decodeOption(SessionName)(wanted)
    if (wanted !== null && Option.isNone(name)) {
      return yield* refuse(
        400,
        -32602,
        "The session's name in the URL must be 1 to 64 letters, digits, “.”, “_” and “-”.",
      )
    }
    if (JSON.stringify(request.params).length > maxHello) {
      return yield* refuse(400, -32602, `What a client says of itself may take ${maxHello} characters.`)
    }
    const never = () => Effect.dieMessage("initialize needs no connection")
    const welcome = yield* respond(request, catalogue, {
      callTool: never,
      askOwner: never,
      setLevel: never,
      subscribe: never,
    })
    if (!("result" in welcome)) return HttpServerResponse.unsafeJson(welcome)
    const opened = yield* Effect.either(
      connections.open(principal, Option.getOrUndefined(name), {
        protocolVersion: String(welcome.result["protocolVersion"]),
        client: request.params.clientInfo,
        capabilities: request.params.capabilities,
      }),
    )
    if (opened._tag === "Left") {
      const { message, next } = opened.left
      const error = { code: -32000, message: `${message} ${next}` }
      return HttpServerResponse.unsafeJson({ jsonrpc: "2.0", id: request.id, error })
    }
    return HttpServerResponse.unsafeJson(welcome, { headers: { "mcp-session-id": opened.right.id } })
  })

  /** What a client says that is not answered. */
  const hear = (connection: Connection, message: JSONRPCMessage): Effect.Effect<void, SessionError> => {
    if (isJSONRPCNotification(message)) {
      const id = CancelledNotificationSchema.safeParse(message).data?.params.requestId
      return id === undefined ? Effect.void : tools.cancel(connection, id)
    }
    const { after: question, operation } = placeOf(String(message.id ?? "")) ?? {}
    if (operation === undefined || question === undefined || "method" in message) return Effect.void
    const reply: QuestionReply =
      "result" in message
        ? { _tag: "Answer", result: message.result }
        : { _tag: "Refusal", message: message.error.message }
    return tools.answer(connection, { operation, question }, reply)
  }

  const post = Effect.fnUntraced(function* (
    principal: Principal,
    request: HttpServerRequest.HttpServerRequest,
  ) {
    if (!/^application\/json\b/i.test(request.headers["content-type"] ?? "")) {
      return yield* refuse(415, -32000, "The body must be application/json.")
    }
    const body = yield* readBody(request, maxBody)
    if (Array.isArray(body))
      return yield* refuse(400, -32600, "Batches are not part of this protocol: send one message a request.")
    const parsed = JSONRPCMessageSchema.safeParse(body)
    if (!parsed.success) return yield* refuse(400, -32600, "The body is not a JSON-RPC 2.0 message.")
    const message = parsed.data
    if (isJSONRPCRequest(message) && message.method === "initialize") {
      return isInitializeRequest(message)
        ? yield* initialize(principal, message, new URL(request.url, "http://localhost"))
        : yield* refuse(400, -32602, "The parameters of `initialize` are not complete.")
    }
    const connection = yield* connectionOf(principal, request)
    if (!isJSONRPCRequest(message)) {
      yield* Effect.forkDaemon(Effect.ignore(hear(connection, message)))
      return HttpServerResponse.empty({ status: 202 })
    }
    return yield* answer({
      stream: acceptsStream(request) ? "may" : "never",
      isFollowed: message.params?._meta?.progressToken !== undefined,
      primes: connection.protocolVersion >= primingSince,
      headers: {},
      run: (follower) =>
        respond(message, catalogue, {
          setLevel: (level) => connections.setLevel(connection.id, level),
          subscribe: () => Effect.void,
          callTool: (params) =>
            Effect.raceFirst(tools.call(principal, connection, message.id, params, follower), left),
          askOwner: tools.askOwner(connection),
        }).pipe(whileKept(connection)),
    })
  })

  const whileKept =
    ({ id }: Connection) =>
    <A, E>(work: Effect.Effect<A, E>) =>
      Effect.scoped(Effect.zipRight(connections.keep(id), work))

  /** Goes on with a request whose stream broke. */
  const resume = (connection: Connection, { operation, after }: { operation: OperationId; after: number }) =>
    answer({
      stream: "must",
      isFollowed: false,
      primes: false,
      headers: { "mcp-session-id": connection.id },
      run: (follower) =>
        tools.resume(connection, operation, after, follower).pipe(
          Effect.catchTags({
            SessionClosed: () => Effect.succeed(undefined),
            SessionNotFound: () => Effect.succeed(undefined),
          }),
          // The other nodes go on with it.
          Effect.raceFirst(Effect.zipRight(Deferred.await(leaving), Effect.fail(new NodeLeaving()))),
          whileKept(connection),
        ),
      // Its client asks again, which it would not where it was told that nothing is left.
    }).pipe(Effect.catchAll(({ message, next }) => refuse(503, -32000, `${message} ${next}`)))

  /** A stream for what the server says unasked. Its comments show that the server is there; it keeps the lease. */
  const listen = Effect.fnUntraced(function* (
    principal: Principal,
    request: HttpServerRequest.HttpServerRequest,
  ) {
    if (!acceptsStream(request)) {
      return yield* refuse(406, -32000, "A GET must accept text/event-stream.")
    }
    const connection = yield* connectionOf(principal, request)
    const place = placeOf(request.headers["last-event-id"] ?? "")
    if (place !== undefined) {
      const { after, operation } = place
      return after === undefined
        ? HttpServerResponse.empty({ status: 204 })
        : yield* resume(connection, { operation, after })
    }
    const { id } = connection
    const alive = connections.find(principal, id).pipe(
      Effect.orElseSucceed((): Partial<Connection> => ({})),
      Effect.filterOrFail((connection) => connection !== undefined, Option.none),
      Effect.as(comment),
    )
    const comments = Stream.repeatEffectOption(Effect.delay(alive, keepAlive))
    return HttpServerResponse.stream(
      Stream.interruptWhenDeferred(Stream.concat(Stream.make(comment), comments), leaving),
      streaming({ "mcp-session-id": id }),
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
    const connection = yield* connections
      .find(principal, id)
      .pipe(Effect.catchAll(({ message, next }) => refuse(503, -32000, `${message} ${next}`)))
    return connection ?? (yield* refuse(404, -32001, "There is no such connection: send `initialize` again."))
  })

  return Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const objection = guard.objection(request.headers["host"], request.headers["origin"])
    if (objection !== undefined) return yield* refuse(403, -32000, objection)
    const principal = principals.of(request.headers["authorization"])
    if (principal === undefined)
      return yield* refuse(401, -32000, "A valid bearer token is needed.", { "www-authenticate": "Bearer" })
    if (request.method === "POST") return yield* post(principal, request)
    if (request.method === "GET") return yield* listen(principal, request)
    if (request.method === "DELETE") {
      const connection = yield* connectionOf(principal, request)
      yield* connections
        .close(principal, connection)
        .pipe(Effect.catchAll(({ message, next }) => refuse(503, -32000, `${message} ${next}`)))
      return HttpServerResponse.empty({ status: 200 })
    }
    return yield* refuse(405, -32000, "Use POST, GET or DELETE.", { allow: "GET, POST, DELETE" })
  }).pipe(
    Effect.catchTag("Refusal", ({ response }) => Effect.succeed(response)),
    Effect.withSpan("Edge.mcp"),
  )
})

/** The node ended while it carried a call for its client. */
class NodeLeaving extends Schema.TaggedError<NodeLeaving>()("NodeLeaving", {}) {
  override get message() {
    return "The node that carried this call is leaving; the call may still have run."
  }
  readonly next = "Look at the workspace (list_files), then decide whether to repeat it."
}

const acceptsStream = ({ headers }: HttpServerRequest.HttpServerRequest) =>
  (headers["accept"] ?? "").includes("text/event-stream")

/** From this protocol version on, a client keeps its place in a stream once it has seen an event, also an empty one. */
const primingSince = "2025-11-25"

/** Parameters of `initialize`, in characters; they are kept with the connection. */
const maxHello = 16_384
