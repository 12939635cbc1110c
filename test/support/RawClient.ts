/** A client that sends what a test has it send: the SDK's opens streams of its own, and sends again what breaks. */
import { Effect, type Scope } from "effect"
import { operationIdKey } from "../../src/domain/Identity.ts"
import type { ClientOptions } from "./Client.ts"
import * as EventStream from "./EventStream.ts"
import * as Http from "./Http.ts"
import { hello } from "./StdioClient.ts"

type Headers = Readonly<Record<string, string>>

/** An answer that is read as it comes; status 0 where none came. */
type Streaming = Effect.Effect<EventStream.EventStream, never, Scope.Scope>

interface RequestOptions {
  /** The node to send this to, by its URL; otherwise it goes where the client was made for. */
  readonly at?: string
  /** Beside those of the client, or instead of them. */
  readonly headers?: Headers
}

export interface RawClient {
  readonly connection: string
  readonly headers: Headers
  /** Posts a message, without its `jsonrpc`, and reads the whole answer; dies where there is none within 20 s. */
  readonly post: (message: object, options?: RequestOptions) => Effect.Effect<Http.HttpAnswer>
  /** As `post`, for an answer that may be a stream. */
  readonly stream: (message: object, options?: RequestOptions) => Streaming
  /** Calls `exec`, as the operation `o_ID`, to be told the output under the token `p`. */
  readonly follow: (
    id: number,
    command: string,
    options?: RequestOptions & {
      /** What `exec` takes beside the command. */
      readonly input?: Readonly<Record<string, unknown>>
    },
  ) => Streaming
  /** Opens the connection's own stream, or goes on in that of an event, by its id. */
  readonly listen: (options?: { readonly at?: string; readonly after?: string | undefined }) => Streaming
  /** Ends the connection; dies where there is no answer within 20 s. */
  readonly end: Effect.Effect<Http.HttpAnswer>
}

/** A message of the server; what it has depends on what it is. */
export interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: {
    readonly progressToken?: string
    readonly progress?: number
    readonly message?: string
    readonly uri?: string
    readonly level?: string
    readonly data?: string
  }
  readonly result?: {
    readonly isError?: boolean
    readonly structuredContent?: Record<string, unknown>
    readonly content?: ReadonlyArray<{ readonly text: string }>
  }
  readonly error?: { readonly code: number; readonly message: string }
}

/** The message that an event carries; one without any, as the first of a stream, has nothing. */
export const messageOf = ({ data }: EventStream.ServerEvent): Message =>
  data === "" ? {} : (JSON.parse(data) as Message)

/** All output that events tell, in their order. */
export const outputOf = (events: ReadonlyArray<EventStream.ServerEvent>) =>
  events.map((event) => messageOf(event).params?.message ?? "").join("")

/** The headers of a connection's requests; more of them go beside those, or instead. */
export const headersOf = (connection: string, more: Headers = {}): Headers => ({
  ...unbound,
  "mcp-session-id": connection,
  ...more,
})

/** A client of a connection that there is, at a node or a balancer: a URL, whose path does not matter. */
export const of = (url: string, connection: string, more?: Headers): RawClient => {
  const headers = headersOf(connection, more)
  const to = ({ at = url }: RequestOptions = {}) => new URL("/mcp", at).href
  const posted = (message: object, options?: RequestOptions) => ({
    method: "POST" as const,
    headers: { ...headers, ...options?.headers },
    body: { jsonrpc: "2.0", ...message },
  })
  const stream: RawClient["stream"] = (message, options) =>
    EventStream.open(to(options), posted(message, options))
  return {
    connection,
    headers,
    stream,
    post: (message, options) => {
      const { body, ...request } = posted(message, options)
      return Http.send(to(options), { ...request, body: JSON.stringify(body) })
    },
    follow: (id, command, options) => {
      const _meta = { progressToken: "p", [operationIdKey]: `o_${id}` }
      const params = { name: "exec", arguments: { command, ...options?.input }, _meta }
      return stream({ id, method: "tools/call", params }, options)
    },
    listen: ({ after, ...options } = {}) =>
      EventStream.open(to(options), {
        method: "GET",
        headers: { ...headers, ...(after === undefined ? {} : { "last-event-id": after }) },
      }),
    end: Http.send(to(), { method: "DELETE", headers }),
  }
}

type OpenOptions = Pick<ClientOptions, "session" | "token">

/** Asks for a connection, and gives the answer, which may be a refusal; dies where there is none within 20 s. */
export const initialize = (url: string, { session, token }: OpenOptions = {}) => {
  const to = new URL("/mcp", url)
  if (session !== undefined) to.searchParams.set("session", session)
  return Http.send(to.href, {
    method: "POST",
    headers: { ...unbound, ...authorized(token) },
    body: hello("2025-11-25"),
  })
}

/** A client of a new connection, which ends with the scope; dies where it is refused. */
export const open = (url: string, options: OpenOptions = {}) =>
  Effect.gen(function* () {
    const { headers, status, text } = yield* initialize(url, options)
    const connection = headers["mcp-session-id"]
    if (typeof connection !== "string") {
      return yield* Effect.dieMessage(`there is no connection, but ${status}: ${text}`)
    }
    const client = of(url, connection, authorized(options.token))
    yield* Effect.addFinalizer(() => Effect.catchAllDefect(client.end, () => Effect.void))
    return client
  })

const unbound: Headers = {
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
}

const authorized = (token: string | undefined): Headers =>
  token === undefined ? {} : { authorization: `Bearer ${token}` }
