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
} from "@modelcontextprotocol/sdk/types.js"
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/sdk/validation/ajv-provider.js"
import { Effect, Runtime } from "effect"
import type { Explained } from "../domain/Failure.ts"
import { listing } from "./Presentation.ts"
import * as Prompts from "./Prompts.ts"
import * as Resources from "./Resources.ts"
import { serverInfo } from "./ServerInfo.ts"
import type { CallParams, UnknownTool } from "./ToolCalls.ts"

// Making one costs more than all the rest of a request.
const jsonSchemaValidator = new AjvJsonSchemaValidator()

const instructions =
  "Each session is an isolated Linux sandbox with a workspace at /workspace. Write files with write_file, run commands " +
  "with exec (pytest, node --test, git and build tools are there; there is no network), read results from its answer. " +
  "A command that takes long answers `running`: go on with read_output and its operation_id. Files and processes stay " +
  "between calls."

/** What a connection can do beside the protocol. */
export interface Abilities {
  readonly callTool: (params: CallParams) => Effect.Effect<CallToolResult, UnknownTool>
  readonly askOwner: Resources.AskOwner
}

/** Answers one request; an interrupt closes the server. */
export const respond = (
  request: JSONRPCRequest,
  { askOwner, callTool }: Abilities,
): Effect.Effect<JSONRPCMessage> =>
  Effect.flatMap(Effect.runtime<never>(), (runtime) =>
    Effect.async<JSONRPCMessage>((resume) => {
      const server = new Server(serverInfo, {
        capabilities: { tools: {}, resources: {}, prompts: {}, completions: {} },
        instructions,
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
      server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: [...listing] }))
      const run = <A, E>(work: Effect.Effect<A, E>, { signal }: { readonly signal: AbortSignal }) =>
        Runtime.runPromise(runtime)(Effect.either(work), { signal }).then((either) =>
          either._tag === "Right" ? either.right : Promise.reject(either.left),
        )
      const asking = <A>(work: Effect.Effect<A, Explained>, extra: { readonly signal: AbortSignal }) =>
        run(Effect.mapError(work, Resources.errorOf), extra)
      server.setRequestHandler(CallToolRequestSchema, ({ params }, extra) => run(callTool(params), extra))
      server.setRequestHandler(ListResourcesRequestSchema, ({ params }, extra) =>
        asking(Resources.list(askOwner, params?.cursor), extra),
      )
      server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({
        resourceTemplates: [Resources.template],
      }))
      server.setRequestHandler(ReadResourceRequestSchema, ({ params }, extra) =>
        asking(Resources.read(askOwner, params.uri), extra),
      )
      server.setRequestHandler(CompleteRequestSchema, ({ params: { ref, argument } }, extra) =>
        ref.type === "ref/resource" && ref.uri === Resources.template.uriTemplate
          ? asking(Resources.complete(askOwner, argument.value), extra)
          : { completion: { values: [] } },
      )
      server.setRequestHandler(ListPromptsRequestSchema, () => ({ prompts: [...Prompts.listing] }))
      server.setRequestHandler(GetPromptRequestSchema, ({ params }) =>
        Prompts.get(params.name, params.arguments),
      )
      void server.connect(transport).then(() => transport.onmessage?.(request))
      return Effect.promise(() => server.close())
    }),
  )
