/**
 * The protocol's session-less revision (2026-07-28) at the same URL as the older ones. Each request stands for itself,
 * at any node: it names its session, where it needs one, and is cancelled when its client goes away. What is to outlive
 * that goes on by its operation's id.
 */
import { type HttpServerRequest, HttpServerResponse } from "@effect/platform"
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js"
import { Deferred, Effect, Fiber, Option, Predicate, Schema, Stream } from "effect"
import type { Principal } from "../domain/Identity.ts"
import type { Explained } from "../domain/Failure.ts"
import { SessionDirectory } from "../domain/SessionDirectory.ts"
import { Sessions } from "../session/Sessions.ts"
import { Registry } from "../tools/Registry.ts"
import { Catalogue } from "./Catalogue.ts"
import { maxSubscriptions } from "./Connections.ts"
import { maxUri } from "./Conversation.ts"
import { atOnce, comment, comments, frame, streaming } from "./EventStream.ts"
import { sessionlessListingOf } from "./Presentation.ts"
import * as SessionlessCalls from "./SessionlessCalls.ts"
import * as SessionResources from "./SessionResources.ts"
import { ToolCalls } from "./ToolCalls.ts"

/**
 * Makes what answers such requests, their bodies parsed; undefined for a request of an older revision. A call that is
 * still waited for once there is a `farewell` is answered with that. Its operation is not cancelled at once: for
 * NODE_EXPIRY its client may take it up at another node, by its id.
 */
export const make = Effect.fnUntraced(function* (
  farewell: Effect.Effect<CallToolResult>,
  leaving: Deferred.Deferred<void>,
) {
  const directory = yield* SessionDirectory
  const tools = yield* ToolCalls
  const sessions = yield* Sessions
  const { instructions, prompts } = yield* Catalogue
  const { listed, names } = yield* Registry
  const listing = sessionlessListingOf(listed, names)
  const call = yield* SessionlessCalls.make(farewell)
  const load = Effect.promise(() => import("./SessionlessServer.ts"))
  // Also where nobody asks for it, before a later build has removed its file.
  yield* Effect.forkDaemon(Effect.delay(load, loadAfter))

  return Effect.fnUntraced(function* (
    principal: Principal,
    { headers }: HttpServerRequest.HttpServerRequest,
    body: unknown,
  ) {
    if (!mayBeSessionless(headers["mcp-protocol-version"], body)) return undefined
    const { isLegacyRequest, respond } = yield* load
    const { signal } = yield* Effect.acquireRelease(
      Effect.sync(() => new AbortController()),
      (client) => Effect.sync(() => client.abort()),
    )
    const request = new Request("http://localhost/mcp", { method: "POST", headers, signal })
    if (yield* Effect.promise(() => isLegacyRequest(request, body))) return undefined

    const streams = (headers["accept"] ?? "").includes("text/event-stream")
    const room = yield* Effect.makeSemaphore(maxWaiting)
    const resources = SessionResources.make(principal, directory, tools, sessions, names)
    const listen = Option.getOrUndefined(decodeListen(body))
    const updates = yield* Effect.either(updatesFor(resources, listen))
    if (updates._tag === "Left") {
      const { message, next } = names.inError(updates.left)
      const error = { code: -32602, message: `${message} ${next}` }
      return HttpServerResponse.unsafeJson({ jsonrpc: "2.0", id: listen?.id ?? null, error })
    }
    const runtime = yield* Effect.runtime<never>()
    const answering = yield* Effect.promise(() =>
      respond(request, body, runtime, {
        callTool: ({ notify, ...asked }) =>
          call(principal, {
            ...asked,
            notify: streams ? (told) => Effect.zipRight(room.take(1), notify(told)) : undefined,
          }),
        instructions: instructions.sessionless,
        names,
        tools: listing,
        prompts,
        resources,
        updates: Stream.tap(updates.right, () => room.take(1)),
      }),
    ).pipe(Effect.forkScoped)
    const quick = yield* Effect.raceFirst(
      Effect.asSome(Fiber.join(answering)),
      streams ? Effect.as(Effect.sleep(atOnce), Option.none<Response>()) : Effect.never,
    )
    if (Option.isSome(quick) && !isStream(quick.value)) return yield* whole(quick.value)
    const events = Stream.unwrap(
      Effect.map(Fiber.join(answering), (answer) =>
        isStream(answer) ? framesOf(answer) : Stream.fromEffect(frameOf(answer)),
      ),
    ).pipe(Stream.tap(() => room.release(1)))
    // The first one carries the answer's head.
    const signs = Stream.concat(Stream.make(comment), comments)
    const all = Stream.merge(events, signs, { haltStrategy: "left" })
    return HttpServerResponse.stream(
      // Its client listens again, at another node.
      listen !== undefined ? Stream.interruptWhenDeferred(all, leaving) : all,
      streaming({}),
    )
  })
})

/** Whether a request may be of this revision, found out without the library, which then decides. */
const mayBeSessionless = (version: string | undefined, body: unknown) =>
  (version ?? "") >= "2026" ||
  (Predicate.hasProperty(body, "params") &&
    Predicate.hasProperty(body.params, "_meta") &&
    Predicate.hasProperty(body.params._meta, "io.modelcontextprotocol/protocolVersion"))

/** A request to hear of resources. */
const decodeListen = Schema.decodeUnknownOption(
  Schema.Struct({
    method: Schema.Literal("subscriptions/listen"),
    id: Schema.Union(Schema.String, Schema.Number),
    params: Schema.Struct({
      notifications: Schema.Struct({ resourceSubscriptions: Schema.Array(Schema.String) }),
    }),
  }),
)

/** What a client hears that listens. */
const updatesFor = (
  resources: SessionResources.SessionResources,
  listen: Option.Option.Value<ReturnType<typeof decodeListen>> | undefined,
): Effect.Effect<Stream.Stream<string>, Explained> => {
  if (listen === undefined) return Effect.succeed(Stream.empty)
  const { resourceSubscriptions: uris } = listen.params.notifications
  return uris.length > maxSubscriptions || uris.some((uri) => uri.length > maxUri)
    ? Effect.fail(new TooMuchToHear())
    : resources.updates(uris)
}

/** There are bounds to what a client may listen to. */
class TooMuchToHear extends Schema.TaggedError<TooMuchToHear>()("TooMuchToHear", {}) {
  override get message() {
    return `A stream may have ${maxSubscriptions} subscriptions, each of ${maxUri} characters.`
  }
  readonly next = "Open another stream for the rest."
}

const isStream = ({ headers }: Response) => headers.get("content-type") === "text/event-stream"

const textOf = (answer: Response) => Effect.promise(() => answer.text())

const whole = (answer: Response) =>
  Effect.map(textOf(answer), (text) =>
    text === ""
      ? HttpServerResponse.empty({ status: answer.status })
      : HttpServerResponse.text(text, { status: answer.status, contentType: "application/json" }),
  )

const framesOf = ({ body }: Response) =>
  body === null
    ? Stream.empty
    : Stream.fromReadableStream({ evaluate: () => body, onError: (error) => error })

const frameOf = (answer: Response) => Effect.map(textOf(answer), (data) => frame({ event: "message", data }))

/** Notifications that wait for a slow client. */
const maxWaiting = 16

const loadAfter = "10 seconds"
