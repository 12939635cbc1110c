/**
 * One JSON-RPC message of a connection, answered by an SDK server of its own: a server shared between
 * clients would mix up their answers (CVE-2026-25536). The SDK's schemas decode what comes in.
 */
import { Server } from "@modelcontextprotocol/sdk/server/index.js"
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js"
import {
  CallToolRequestSchema,
  type CallToolResult,
  type JSONRPCMessage,
  type JSONRPCRequest,
  CompleteRequestSchema,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  ReadResourceRequestSchema,
  SetLevelRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from "@modelcontextprotocol/sdk/types.js"
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/sdk/validation/ajv-provider.js"
import { Effect, Runtime } from "effect"
import type { Explained } from "../domain/Failure.ts"
import type { LogLevel } from "../domain/Event.ts"
import type { Catalogue } from "./Catalogue.ts"
import { type AskOwner, errorOf } from "./Resources.ts"
import { serverInfo } from "./ServerInfo.ts"
import type { CallParams, UnknownTool } from "./ToolCalls.ts"

// Making one costs more than all the rest of a request.
const jsonSchemaValidator = new AjvJsonSchemaValidator()

/** What a connection can do beside the protocol. */
export interface Abilities {
  readonly callTool: (params: CallParams) => Effect.Effect<CallToolResult, UnknownTool>
  readonly askOwner: AskOwner
  readonly setLevel: (level: LogLevel) => Effect.Effect<void, Explained>
  /** Has changes of a resource told from now on, or no more. */
  readonly subscribe: (uri: string, on: boolean) => Effect.Effect<void, Explained>
}

/** Runs what a handler of the SDK answers with, until its signal ends that. What it fails with is what the SDK tells. */
export const promising =
  (runtime: Runtime.Runtime<never>) =>
  <A, E>(work: Effect.Effect<A, E>, { signal }: { readonly signal: AbortSignal }) =>
    Runtime.runPromise(runtime)(Effect.either(work), { signal }).then((either) =>
      either._tag === "Right" ? either.right : Promise.reject(either.left),
    )

/** Answers one request; an interrupt closes the server. */
export const respond = (
  request: JSONRPCRequest,
  { instructions, names, prompts, resources, tools }: Catalogue["Type"],
  { askOwner, callTool, setLevel, subscribe }: Abilities,
): Effect.Effect<JSONRPCMessage> =>
  Effect.flatMap(Effect.runtime<never>(), (runtime) =>
    Effect.async<JSONRPCMessage>((resume) => {
      const server = new Server(serverInfo, {
        capabilities: {
          tools: {},
          resources: { subscribe: true },
          prompts: {},
          completions: {},
          logging: {},
        },
        instructions: instructions.ofConnections,
        jsonSchemaValidator,
      })
      const transport: Transport = {
        start: () => Promise.resolve(),
        // Told of its own end, the SDK aborts what it still works on.
        close: () => Promise.resolve(transport.onclose?.()),
        send: (message) => {
          if ("id" in message && !("method" in message)) resume(Effect.succeed(message))
          return Promise.resolve()
        },
      }
      const run = promising(runtime)
      const asking = <A>(work: Effect.Effect<A, Explained>, extra: { readonly signal: AbortSignal }) =>
        run(
          Effect.mapError(work, (error) => errorOf(names.inError(error))),
          extra,
        )
      // This server answers one request: the handlers of others would only cost their making.
      switch (request.method) {
        case "tools/list":
          server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: [...tools] }))
          break
        case "tools/call":
          server.setRequestHandler(CallToolRequestSchema, ({ params }, extra) => run(callTool(params), extra))
          break
        case "resources/list":
          server.setRequestHandler(ListResourcesRequestSchema, ({ params }, extra) =>
            asking(resources.list(askOwner, params?.cursor), extra),
          )
          break
        case "resources/templates/list":
          server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({
            resourceTemplates: [...resources.templates],
          }))
          break
        case "resources/read":
          server.setRequestHandler(ReadResourceRequestSchema, ({ params }, extra) =>
            asking(resources.read(askOwner, params.uri), extra),
          )
          break
        case "completion/complete":
          server.setRequestHandler(CompleteRequestSchema, ({ params: { ref, argument } }, extra) =>
            asking(resources.complete(askOwner, ref, argument.value), extra),
          )
          break
        case "resources/subscribe":
          server.setRequestHandler(SubscribeRequestSchema, ({ params: { uri } }, extra) =>
            asking(Effect.as(subscribe(uri, true), {}), extra),
          )
          break
        case "resources/unsubscribe":
          server.setRequestHandler(UnsubscribeRequestSchema, ({ params: { uri } }, extra) =>
            asking(Effect.as(subscribe(uri, false), {}), extra),
          )
          break
        case "logging/setLevel":
          server.setRequestHandler(SetLevelRequestSchema, ({ params: { level } }, extra) =>
            asking(Effect.as(setLevel(level), {}), extra),
          )
          break
        case "prompts/list":
          server.setRequestHandler(ListPromptsRequestSchema, () => ({ prompts: [...prompts.listing] }))
          break
        case "prompts/get":
          server.setRequestHandler(GetPromptRequestSchema, ({ params }) =>
            prompts.get(params.name, params.arguments),
          )
      }
      void server.connect(transport).then(() => transport.onmessage?.(withoutTask(request)))
      return Effect.promise(() => server.close())
    }),
  )

/** Who has no tasks works as if none were asked for, which the SDK refuses. (MCP 2025-11-25, "Tasks", "Capabilities".) */
const withoutTask = (request: JSONRPCRequest): JSONRPCRequest => {
  if (request.params?.["task"] === undefined) return request
  const { task: _, ...params } = request.params
  return { ...request, params }
}
