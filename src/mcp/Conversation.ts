/** What a client and this server say to each other, whatever carries it. */
import {
  CancelledNotificationSchema,
  type InitializeRequest,
  isJSONRPCNotification,
  type JSONRPCMessage,
  type JSONRPCRequest,
} from "@modelcontextprotocol/sdk/types.js"
import { Deferred, Duration, Effect, Schema, Stream } from "effect"
import type { QuestionReply } from "../domain/Event.ts"
import { type Principal, randomId, SessionId } from "../domain/Identity.ts"
import type { Notices } from "../domain/Notice.ts"
import { SessionName } from "../domain/Session.ts"
import type { SessionError } from "../domain/SessionError.ts"
import { workspaceScheme } from "../domain/WorkspaceUri.ts"
import { Sessions } from "../session/Sessions.ts"
import { settings } from "../Settings.ts"
import { Catalogue } from "./Catalogue.ts"
import { type ClientHello, type Connection, Connections } from "./Connections.ts"
import { type Follower, placeOf } from "./EventStream.ts"
import { respond } from "./McpServer.ts"
import { pages } from "./Pages.ts"
import { refused } from "./Presentation.ts"
import { refuse } from "./Refusal.ts"
import { UnknownResource } from "./Resources.ts"
import { ToolCalls } from "./ToolCalls.ts"

/**
 * Once `leaving` is done, calls that are still waited for after half of SHUTDOWN_TIMEOUT are left: to the next node
 * where their client can resume them, and answered without their outcome otherwise.
 */
export const make = Effect.fnUntraced(function* (leaving: Deferred.Deferred<void>) {
  const connections = yield* Connections
  const sessions = yield* Sessions
  const tools = yield* ToolCalls
  const catalogue = yield* Catalogue
  const patience = Duration.times(yield* settings.shutdownTimeout.config, 0.5)
  const left = refused(catalogue.names.inError(new NodeLeaving()))
  const farewell = Effect.zipRight(Deferred.await(leaving), Effect.sleep(patience)).pipe(Effect.as(left))
  /** What ends each call that is waited for here, once this node cannot wait any more. */
  const ends = new Set<Effect.Effect<unknown>>()
  let isOver = false
  yield* farewell.pipe(
    Effect.flatMap(() => {
      isOver = true
      return Effect.all([...ends], { concurrency: "unbounded", discard: true })
    }),
    Effect.forkDaemon,
  )
  /** Waits for a call while this node can: after that its client goes on at another, where it and the call can. */
  const whileHere = <A, E>(
    session: SessionId,
    request: JSONRPCRequest,
    follower: Follower,
    call: Effect.Effect<A, E>,
  ) => {
    const end = Effect.suspend(() => {
      const goesOn = follower.isResumable() && !sessions.isHere(session)
      return follower.end(goesOn ? undefined : { jsonrpc: "2.0", id: request.id, result: left })
    })
    return isOver
      ? Effect.zipRight(end, Effect.never)
      : Effect.acquireUseRelease(
          Effect.sync(() => ends.add(end)),
          () => call,
          () => Effect.sync(() => ends.delete(end)),
        )
  }

  const subscribe = Effect.fnUntraced(function* (connection: Connection, uri: string, on: boolean) {
    if (uri.length > maxUri || !catalogue.resources.isResource(uri))
      return yield* new UnknownResource({ uri, scheme: workspaceScheme })
    yield* connections.subscribe(connection.id, uri, on)
    yield* sessions.subscribe(connection.session, connection.id)
  })

  return {
    /** The answer to a call that this node can wait for no longer, once it cannot. */
    farewell,

    /** Answers `initialize`; of the client nothing is known where that is an error. */
    welcome: Effect.fnUntraced(function* (request: InitializeRequest & JSONRPCRequest) {
      if (JSON.stringify(request.params).length > maxHello) {
        return yield* refuse(400, -32602, `What a client says of itself may take ${maxHello} characters.`)
      }
      const never = () => Effect.dieMessage("initialize needs no connection")
      const abilities = { callTool: never, askOwner: never, setLevel: never, subscribe: never }
      const answer = yield* respond(request, catalogue, abilities)
      const hello: ClientHello | undefined =
        "result" in answer
          ? {
              protocolVersion: String(answer.result["protocolVersion"]),
              client: request.params.clientInfo,
              capabilities: request.params.capabilities,
            }
          : undefined
      return { answer, hello }
    }),

    /** Answers any other request. */
    reply: (principal: Principal, connection: Connection, request: JSONRPCRequest, follower: Follower) =>
      respond(request, catalogue, {
        callTool: (params) => {
          const named = params.arguments?.["session_id"]
          const session = isSessionId(named) ? named : connection.session
          return whileHere(
            session,
            request,
            follower,
            tools.call(principal, connection, request.id, params, follower),
          )
        },
        askOwner: tools.askOwner(connection),
        setLevel: (level) => connections.setLevel(connection.id, level),
        subscribe: (uri, on) => subscribe(connection, uri, on),
      }),

    /** Takes what is not answered. */
    hear: (connection: Connection, message: JSONRPCMessage): Effect.Effect<void, SessionError> => {
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
    },

    /**
     * What comes for the connection's stream after a notice, page by page, the first at once; with `takesPosts` also
     * what its client posts. Ends where another stream takes its place.
     */
    notices: (
      connection: Pick<Connection, "id" | "session">,
      after: number | null,
      takesPosts: boolean,
    ): Stream.Stream<Notices> =>
      Stream.unwrap(
        Effect.map(randomId("o_"), (listener) =>
          pages<Notices, { readonly after: number | null; readonly begins: boolean }>(
            { after, begins: true },
            (place) =>
              Effect.map(
                sessions.listen(
                  connection.session,
                  { connection: connection.id, listener, takesPosts, ...place },
                  place.begins ? 0 : undefined,
                ),
                (page) => (page.displaced ? undefined : [page, { after: page.last, begins: false }]),
              ),
          ),
        ),
      ),
  }
})

const isSessionId = Schema.is(SessionId)

/** The name of the session that the URL binds its connection to. */
export const sessionNameIn = (url: string) => {
  const wanted = new URL(url, "http://localhost").searchParams.get("session")
  return wanted === null
    ? Effect.succeed(undefined)
    : Schema.decode(SessionName)(wanted).pipe(
        Effect.catchAll(() =>
          refuse(
            400,
            -32602,
            "The session's name in the URL must be 1 to 64 letters, digits, “.”, “_” and “-”.",
          ),
        ),
      )
}

/** The node ended while it carried a call for its client. */
export class NodeLeaving extends Schema.TaggedError<NodeLeaving>()("NodeLeaving", {}) {
  override get message() {
    return "The node that carried this call is leaving; the call may still have run."
  }
  readonly next = "Look at the workspace (list_files), then decide whether to repeat it."
}

/** Parameters of `initialize`, in characters; they are kept with the connection. */
const maxHello = 16_384

/** Of a resource, in characters; subscriptions are kept with the connection. */
export const maxUri = 12_288
