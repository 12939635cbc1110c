/** The SDK's MCP client, as a resource of the test. Each answer says which node gave it. */
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import {
  StreamableHTTPClientTransport,
  StreamableHTTPError,
} from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import { type CallToolResult, McpError } from "@modelcontextprotocol/sdk/types.js"
import { Cause, Data, type Duration, Effect, Schema } from "effect"
import { AsyncLocalStorage } from "node:async_hooks"
import { Failure } from "../../src/domain/Failure.ts"
import { operationIdKey } from "../../src/domain/Identity.ts"

export interface ClientOptions {
  /** Where MCP is served, with its path. */
  readonly url: string
  /** The name of the session that the connection is bound to. */
  readonly session?: string
  readonly token?: string
  /** Whether the connection stays when the scope closes. Default: it is deleted. */
  readonly abandon?: boolean
}

interface CallOptions {
  /** The node to send this call to, by its URL without a path; otherwise it goes where the client was opened. */
  readonly at?: string
  readonly operationId?: string
  /** Of another session than the connection's own. */
  readonly session?: string
  /** Default 45 s. A call that takes longer is a defect: nothing may hang. */
  readonly within?: Duration.DurationInput
}

/** What a call came to: the tool's output, or a failure that names its code. */
type Reply<A> = Data.TaggedEnum<{
  Output: { readonly output: A; readonly node: string }
  Refused: { readonly failure: Failure; readonly node: string }
}>

/** The request was not answered by a tool: an HTTP status, a JSON-RPC error, or a lost connection. */
class NotAnswered extends Data.TaggedError("NotAnswered")<{
  readonly status: number | undefined
  readonly rpcCode: number | undefined
  readonly message: string
}> {}

interface AnyTool<I, O> {
  readonly name: string
  readonly input: Schema.Schema<any, I>
  readonly output: Schema.Schema<O, any>
}

export interface TestClient {
  readonly connection: string
  /** The nodes that answered this client's requests, in order. */
  readonly nodes: ReadonlyArray<string>
  readonly call: <I, O>(
    tool: AnyTool<I, O>,
    input: I,
    options?: CallOptions,
  ) => Effect.Effect<Reply<O>, NotAnswered>
  /** The output of a call that must succeed. */
  readonly ask: <I, O>(tool: AnyTool<I, O>, input: I, options?: CallOptions) => Effect.Effect<O>
  /** The failure of a call that must be refused. */
  readonly refused: <I, O>(tool: AnyTool<I, O>, input: I, options?: CallOptions) => Effect.Effect<Failure>
  /** Ends the connection with DELETE, and gives the status. */
  readonly end: (options?: Pick<CallOptions, "at">) => Effect.Effect<void, NotAnswered>
}

interface Route {
  readonly at: string | undefined
  node: string
}

/** Connects, `initialize` and all; ends the connection when the scope closes. */
export const open = (options: ClientOptions) =>
  Effect.gen(function* () {
    const nodes: Array<string> = []
    const routes = new AsyncLocalStorage<Route>()
    const url = new URL(options.url)
    if (options.session !== undefined) url.searchParams.set("session", options.session)
    const transport = new StreamableHTTPClientTransport(url, {
      ...(options.token === undefined
        ? {}
        : { requestInit: { headers: { authorization: `Bearer ${options.token}` } } }),
      fetch: async (input, init) => {
        const route = routes.getStore()
        const answer = await fetch(route?.at === undefined ? input : rebased(input, route.at), init)
        const node = answer.headers.get("x-codegen-node") ?? "none"
        if (route !== undefined) route.node = node
        if (init?.method !== "GET") nodes.push(node)
        return answer
      },
    })
    const client = new Client({ name: "codegen-mcp-tests", version: "0.0.0" })
    yield* Effect.acquireRelease(
      attempt(() => client.connect(transport as never)),
      () =>
        (options.abandon === true
          ? Effect.void
          : Effect.promise(() => transport.terminateSession()).pipe(Effect.timeout("10 seconds"))
        ).pipe(
          Effect.ignore,
          Effect.catchAllDefect(() => Effect.void),
          Effect.zipRight(Effect.promise(() => client.close())),
        ),
    )

    const call: TestClient["call"] = (tool, input, options = {}) =>
      Effect.gen(function* () {
        const route: Route = { at: options.at, node: "none" }
        const params = {
          name: tool.name,
          arguments: {
            ...(input as object),
            ...(options.session === undefined ? {} : { session_id: options.session }),
          },
          ...(options.operationId === undefined ? {} : { _meta: { [operationIdKey]: options.operationId } }),
        }
        const result = yield* attempt(
          (signal) =>
            routes.run(route, () =>
              client.callTool(params, undefined, { signal, timeout: 600_000 }),
            ) as Promise<CallToolResult>,
        )
        if (result.isError === true) {
          const [content] = result.content
          const failure = yield* decoded(
            Schema.parseJson(Failure),
            content?.type === "text" ? content.text : "",
          )
          return { _tag: "Refused" as const, failure, node: route.node }
        }
        const output = yield* decoded(tool.output, result.structuredContent)
        return { _tag: "Output" as const, output, node: route.node }
      }).pipe(
        Effect.timeoutFailCause({
          duration: options.within ?? "45 seconds",
          onTimeout: () => hangs(tool.name),
        }),
      )

    const testClient: TestClient = {
      connection: transport.sessionId ?? "none",
      nodes,
      call,
      ask: (tool, input, options) =>
        call(tool, input, options).pipe(
          Effect.orDie,
          Effect.flatMap((reply) =>
            reply._tag === "Output"
              ? Effect.succeed(reply.output)
              : Effect.dieMessage(`${tool.name} was refused: ${JSON.stringify(reply.failure)}`),
          ),
        ),
      refused: (tool, input, options) =>
        call(tool, input, options).pipe(
          Effect.orDie,
          Effect.flatMap((reply) =>
            reply._tag === "Refused"
              ? Effect.succeed(reply.failure)
              : Effect.dieMessage(`${tool.name} was not refused: ${JSON.stringify(reply.output)}`),
          ),
        ),
      end: ({ at } = {}) =>
        attempt(() => routes.run({ at, node: "none" }, () => transport.terminateSession())),
    }
    return testClient
  })

const decoded = <A, I>(schema: Schema.Schema<A, I>, value: unknown) =>
  Effect.orDie(Schema.decodeUnknown(schema)(value))

const hangs = (tool: string) => Cause.die(new Error(`${tool} hangs`))

const attempt = <A>(call: (signal: AbortSignal) => Promise<A>) =>
  Effect.tryPromise({
    try: call,
    catch: (error) =>
      new NotAnswered({
        status: error instanceof StreamableHTTPError ? error.code : undefined,
        rpcCode: error instanceof McpError ? error.code : undefined,
        message: error instanceof Error ? error.message : String(error),
      }),
  })

const rebased = (input: string | URL, base: string) => {
  const { pathname, search } = new URL(input)
  return new URL(`${pathname}${search}`, base)
}
