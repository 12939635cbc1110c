/** The cluster as the bridge sees it: MCP over Streamable HTTP, one request at a time, nothing repeated here. */
import { type Duration, Effect, Option, Redacted, Schema, type Scope, Stream } from "effect"
import * as ServerEvents from "./ServerEvents.ts"

/** What `initialize` gave. Headers of every later request. */
export interface Connection {
  readonly id: string
  readonly version: string
}

/** Nobody can tell whether the cluster got it. What may be repeated is to be repeated after a pause. */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", {
  problem: Schema.String,
}) {}

/** The connection has ended (404): its lease was over, or somebody closed it. */
export class ConnectionEnded extends Schema.TaggedError<ConnectionEnded>()("ConnectionEnded", {}) {}

/** The cluster will not do this, however often it is asked. `problem` says what to do. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  code: Schema.Int,
  problem: Schema.String,
}) {}

export type UpstreamError = Unreachable | ConnectionEnded | Refused

export interface Answer {
  /** False where the cluster took the message and has nothing to say to it. */
  readonly speaks: boolean
  readonly streams: boolean
  /** The connection that `initialize` opened. */
  readonly connection: string | undefined
  /** Ends early where the connection breaks. */
  readonly events: Stream.Stream<ServerEvents.ServerEvent, Unreachable>
}

export interface Upstream {
  /** Sends a message. The request ends with the scope. */
  readonly post: (
    text: string,
    connection: Connection | undefined,
  ) => Effect.Effect<Answer, UpstreamError, Scope.Scope>
  /** What the cluster says unasked; after a place, what the stream of that place has yet to say. */
  readonly listen: (
    connection: Connection,
    place: string | undefined,
  ) => Effect.Effect<Answer, UpstreamError, Scope.Scope>
  readonly close: (connection: Connection) => Effect.Effect<void, UpstreamError>
}

export interface UpstreamOptions {
  readonly url: URL
  readonly token: Option.Option<Redacted.Redacted>
}

export const make = ({ token, url }: UpstreamOptions): Upstream => {
  const authorization: Record<string, string> = Option.match(token, {
    onNone: () => ({}),
    onSome: (token) => ({ authorization: `Bearer ${Redacted.value(token)}` }),
  })
  const ask = Effect.fnUntraced(function* (
    method: "POST" | "GET" | "DELETE",
    connection: Connection | undefined,
    more: Readonly<Record<string, string>>,
    body?: string,
  ) {
    const controller = yield* Effect.acquireRelease(
      Effect.sync(() => new AbortController()),
      (controller) => Effect.sync(() => controller.abort()),
    )
    const response = yield* Effect.tryPromise({
      try: () =>
        fetch(url, {
          method,
          headers: { ...authorization, ...headersOf(connection), ...more },
          ...(body === undefined ? {} : { body }),
          redirect: "manual",
          signal: controller.signal,
        }),
      catch: (cause) => new Unreachable({ problem: problemOf(cause) }),
    }).pipe(
      Effect.timeoutFail({
        duration: headWithin,
        onTimeout: () => new Unreachable({ problem: "it does not answer" }),
      }),
    )
    if (response.ok) return yield* answerOf(response)
    return yield* refusalOf(response, url, connection)
  })
  return {
    post: (text, connection) =>
      ask(
        "POST",
        connection,
        { "content-type": "application/json", accept: `application/json, ${sse}` },
        text,
      ),
    listen: (connection, place) =>
      ask("GET", connection, { accept: sse, ...(place === undefined ? {} : { "last-event-id": place }) }),
    close: (connection) => Effect.scoped(Effect.asVoid(ask("DELETE", connection, {}))),
  }
}

/** How long a node may take to begin an answer: one that takes longer to make begins as a stream after 0.3 s. */
const headWithin: Duration.DurationInput = "20 seconds"

/** A stream shows every 15 s that it lives. */
const silence: Duration.DurationInput = "40 seconds"

const sse = "text/event-stream"

const headersOf = (connection: Connection | undefined): Record<string, string> =>
  connection === undefined
    ? {}
    : { "mcp-session-id": connection.id, "mcp-protocol-version": connection.version }

const answerOf = (response: Response): Effect.Effect<Answer, Refused> => {
  const type = response.headers.get("content-type") ?? ""
  const connection = response.headers.get("mcp-session-id") ?? undefined
  const { body } = response
  if (response.status === 202 || response.status === 204 || body === null || type === "") {
    return Effect.succeed({ speaks: false, streams: false, connection, events: Stream.empty })
  }
  const bytes = Stream.fromReadableStream({
    evaluate: () => body,
    onError: (cause) => new Unreachable({ problem: problemOf(cause) }),
    // The request's end cancels it; what broke already would refuse that.
    releaseLockOnEnd: true,
  }).pipe(Stream.timeoutFail(() => new Unreachable({ problem: "it fell silent" }), silence))
  if (type.startsWith(sse)) {
    return Effect.succeed({ speaks: true, streams: true, connection, events: ServerEvents.read(bytes) })
  }
  if (!/^application\/json\b/i.test(type)) {
    const problem = `It answers ${type.slice(0, 60)}, which is not MCP: check --url (it usually ends in /mcp).`
    return Effect.fail(new Refused({ code: -32000, problem }))
  }
  const whole = Stream.mkString(Stream.decodeText(bytes))
  const events = Stream.map(Stream.fromEffect(whole), (data) => ({ id: undefined, data }))
  return Effect.succeed({ speaks: true, streams: false, connection, events })
}

/** Why the cluster did not do it; 429, 502, 503 and 504 say that another try may succeed. */
const refusalOf = (response: Response, url: URL, connection: Connection | undefined) =>
  Effect.gen(function* () {
    const { status } = response
    const words = yield* Effect.tryPromise(() => response.text()).pipe(
      Effect.timeout("5 seconds"),
      Effect.orElseSucceed(() => ""),
    )
    if (again.has(status)) return yield* new Unreachable({ problem: `it answers ${status}` })
    if (status === 404 && connection !== undefined) return yield* new ConnectionEnded()
    const said = Option.getOrUndefined(decodeError(words))?.error
    const advice = adviceOf(status, url) ?? `The cluster refuses it (${status}).`
    return yield* new Refused({
      code: said?.code ?? -32000,
      problem: said === undefined || replaced.has(status) ? advice : said.message,
    })
  })

const again = new Set([429, 502, 503, 504])

/** Statuses of which the bridge knows better what its user is to do. */
const replaced = new Set([401, 404])

const adviceOf = (status: number, url: URL) => {
  if (status === 401) return "The cluster refuses the token (401): set CODEGEN_MCP_TOKEN to a valid one."
  if (status === 403) return "The cluster refuses this caller (403): check --url and the token."
  if (status === 404 || status === 405)
    return `There is no MCP at ${url.origin}${url.pathname} (${status}): check --url (it usually ends in /mcp).`
  if (status >= 300 && status < 400)
    return `The cluster is elsewhere (${status}): give that address as --url.`
  return undefined
}

const decodeError = Schema.decodeOption(
  Schema.parseJson(Schema.Struct({ error: Schema.Struct({ code: Schema.Int, message: Schema.String }) })),
)

/** What `fetch` says of a connection that failed is in its cause. */
const problemOf = (cause: unknown) => {
  const { code, message } = ((cause as { cause?: unknown }).cause ?? cause) as {
    code?: string
    message?: string
  }
  return code ?? message ?? "unknown"
}
