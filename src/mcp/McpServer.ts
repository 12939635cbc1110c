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
  ListToolsRequestSchema,
} from "@modelcontextprotocol/sdk/types.js"
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/sdk/validation/ajv-provider.js"
import { Effect, Runtime } from "effect"
import { listing } from "./Presentation.ts"
import type { CallParams, UnknownTool } from "./ToolCalls.ts"

// Making one costs more than all the rest of a request.
const jsonSchemaValidator = new AjvJsonSchemaValidator()

export const serverInfo = { name: "codegen-mcp", title: "CodeGen MCP", version: "0.1.0" }

const instructions =
  "Each session is an isolated Linux sandbox with a workspace at /workspace. Write files with write_file, run commands " +
  "with exec (pytest, node --test, git and build tools are there; there is no network), read results from its answer. " +
  "A command that takes long answers `running`: go on with read_output and its operation_id. Files and processes stay " +
  "between calls."

/** Answers one request. `callTool` runs a tool for the connection; an interrupt closes the server. */
export const respond = (
  request: JSONRPCRequest,
  callTool: (params: CallParams) => Effect.Effect<CallToolResult, UnknownTool>,
): Effect.Effect<JSONRPCMessage> =>
  Effect.flatMap(Effect.runtime<never>(), (runtime) =>
    Effect.async<JSONRPCMessage>((resume) => {
      const server = new Server(serverInfo, {
        capabilities: { tools: {} },
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
      server.setRequestHandler(CallToolRequestSchema, ({ params }, { signal }) =>
        callTool(params).pipe(
          Effect.either,
          (call) => Runtime.runPromise(runtime)(call, { signal }),
          (result) =>
            result.then((either) => (either._tag === "Right" ? either.right : Promise.reject(either.left))),
        ),
      )
      void server.connect(transport).then(() => transport.onmessage?.(request))
      return Effect.promise(() => server.close())
    }),
  )
