/** An MCP client as an agent's host has one, the SDK's, that also says which node answered each request. */
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import type { FetchLike, Transport } from "@modelcontextprotocol/sdk/shared/transport.js"
import {
  type CallToolResult,
  CallToolResultSchema,
  ListToolsResultSchema,
  type Tool,
} from "@modelcontextprotocol/sdk/types.js"
import { Duration, Effect, Schema } from "effect"
import type { Scope } from "effect"
import { StartError } from "../process/StartError.ts"

/** One HTTP request, answered. */
export interface Answered {
  readonly method: string
  /** The JSON-RPC message; absent where the request has none. */
  readonly message: typeof Message.Type | undefined
  readonly status: number
  /** The node that answered; absent where none did, but the balancer. */
  readonly node: string | undefined
}

export interface McpClient {
  /** Calls a tool; its answer, decoded. An answer that says `isError` is a failure. */
  readonly call: <A, I>(tool: ToolSchemas<A, I>, input: I) => Effect.Effect<A, StartError>
  /** The tools that the server lists. */
  readonly tools: Effect.Effect<ReadonlyArray<Tool>, StartError>
}

/** The schemas of one tool, as `src/tools` declares them. */
interface ToolSchemas<A, I> {
  readonly name: string
  readonly input: Schema.Schema<any, I>
  readonly output: Schema.Schema<A, any>
}

/** Opens a connection, which ends with the scope, and the session that was made for it too. */
export const connect = (options: {
  readonly url: string | URL
  readonly token: string
  readonly onAnswer?: (answered: Answered) => void
}): Effect.Effect<McpClient, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    const transport = new StreamableHTTPClientTransport(new URL(options.url), {
      requestInit: { headers: { authorization: `Bearer ${options.token}` } },
      fetch: options.onAnswer === undefined ? fetch : telling(options.onAnswer),
    })
    const client = new Client({ name: "codegen-mcp-scripts", version: "0.1.0" })
    yield* Effect.acquireRelease(
      // The SDK declares `sessionId` so that it does not fit its own interface under exactOptionalPropertyTypes.
      attempt("initialize", () => client.connect(transport as Transport)),
      () =>
        Effect.tryPromise(() => transport.terminateSession()).pipe(
          Effect.timeout(Duration.seconds(10)),
          Effect.ignore,
          Effect.zipRight(Effect.promise(() => client.close())),
        ),
    )
    return {
      // The plain request, not `listTools`: that compiles a validator for each tool's output every time.
      tools: Effect.map(
        attempt("tools/list", (signal) =>
          client.request({ method: "tools/list" }, ListToolsResultSchema, { signal }),
        ),
        ({ tools }) => tools,
      ),
      call: (tool, input) =>
        attempt(tool.name, (signal) =>
          client.request(
            {
              method: "tools/call",
              params: { name: tool.name, arguments: input as Record<string, unknown> },
            },
            CallToolResultSchema,
            { signal, timeout: Duration.toMillis(callTimeout) },
          ),
        ).pipe(Effect.flatMap((result) => answerOf(tool, result))),
    }
  })

const callTimeout = Duration.minutes(3)

const answerOf = <A, I>({ name, output }: ToolSchemas<A, I>, result: CallToolResult) =>
  result.isError === true
    ? new StartError({
        problem: `${name} failed: ${JSON.stringify(result.content)}.`,
        remedy: "See the nodes' logs in .codegen/run.",
      })
    : Schema.decodeUnknown(output)(result.structuredContent).pipe(
        Effect.mapError(
          (cause) =>
            new StartError({
              problem: `${name} answered what its schema does not allow: ${cause.message}.`,
              remedy: "This is a bug of the server.",
              cause,
            }),
        ),
      )

const attempt = <A>(what: string, call: (signal: AbortSignal) => Promise<A>) =>
  Effect.tryPromise({
    try: call,
    catch: (cause) =>
      new StartError({
        problem: `${what} was not answered: ${cause instanceof Error ? cause.message : String(cause)}.`,
        remedy: "See the nodes' logs in .codegen/run.",
        cause,
      }),
  })

/** `fetch` that tells of each answer when its headers are there. */
const telling =
  (onAnswer: (answered: Answered) => void): FetchLike =>
  (url, init) =>
    fetch(url, init).then((response) => {
      onAnswer({
        method: init?.method ?? "GET",
        message: typeof init?.body === "string" ? decodeMessage(init.body) : undefined,
        status: response.status,
        node: response.headers.get("x-codegen-node") ?? undefined,
      })
      return response
    })

const Message = Schema.Struct({
  method: Schema.String,
  params: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Unknown })),
})

const decodeMessage = Schema.decodeSync(Schema.parseJson(Message))
