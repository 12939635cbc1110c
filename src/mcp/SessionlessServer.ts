/**
 * One request of the protocol's session-less revision (2026-07-28), answered by a server of its own. The library checks
 * headers, envelope and version, and gives results their type and cache hints. It costs some 50 ms to load: only
 * `Sessionless.ts` imports this, on demand.
 */
import {
  createMcpHandler,
  ProtocolError,
  ProtocolErrorCode,
  ResourceNotFoundError,
  Server,
  type ServerContext,
  type Tool,
} from "@modelcontextprotocol/server"
import type { Tool as Listed } from "@modelcontextprotocol/sdk/types.js"
import { Effect, Option, Runtime, Schema, Stream } from "effect"
import type { QuestionKind } from "../domain/Event.ts"
import { type Explained, failureOf } from "../domain/Failure.ts"
import { promising } from "./McpServer.ts"
import type { ToolNames } from "../tools/ToolNames.ts"
import type { PromptShelf } from "./Catalogue.ts"
import { serverInfo } from "./ServerInfo.ts"
import { type SessionResources, template } from "./SessionResources.ts"
import type { Answer, Notify, SessionlessCall } from "./SessionlessCalls.ts"

export { isLegacyRequest } from "@modelcontextprotocol/server"

/** What a request can do beside the protocol. An interrupt says that its client is gone. */
export interface Abilities {
  readonly callTool: (call: SessionlessCall & { readonly notify: Notify }) => Answer
  readonly instructions: string
  /** What our words call tools. */
  readonly names: ToolNames
  readonly tools: ReadonlyArray<Listed>
  readonly prompts: PromptShelf
  readonly resources: SessionResources
  /** Resources that change, for a client that listens. */
  readonly updates: Stream.Stream<string>
}

/** Answers one request, its body parsed; the request's signal ends what works on it. */
export const respond = (
  request: Request,
  body: unknown,
  runtime: Runtime.Runtime<never>,
  abilities: Abilities,
) =>
  createMcpHandler(() => serverOf(runtime, abilities), {
    legacy: "reject",
    bus: {
      publish: () => undefined,
      subscribe: (listener) => {
        const tell = (uri: string) => Effect.sync(() => listener({ kind: "resource_updated", uri }))
        return Runtime.runCallback(runtime)(Stream.runForEach(abilities.updates, tell))
      },
    },
    // The stream's own comments show that the server is there.
    keepAliveMs: 0,
  }).fetch(request, { parsedBody: body })

const serverOf = (
  runtime: Runtime.Runtime<never>,
  { callTool, instructions, names, prompts, resources, tools }: Abilities,
) => {
  const server = new Server(serverInfo, {
    capabilities: { tools: {}, resources: { subscribe: true }, prompts: {}, completions: {} },
    instructions,
    cacheHints: {
      "server/discover": fixed,
      "tools/list": fixed,
      "prompts/list": fixed,
      "resources/templates/list": fixed,
    },
  })
  const promised = promising(runtime)
  const run = <A, E>(work: Effect.Effect<A, E>, { mcpReq }: ServerContext) => promised(work, mcpReq)
  server.setRequestHandler("tools/list", () => ({ tools: [...tools] as Array<Tool> }))
  server.setRequestHandler("tools/call", ({ params }, context) => {
    const { envelope, inputResponses, notify, requestState } = context.mcpReq
    return run(
      callTool({
        params,
        questions: questionsOf(envelope),
        state: requestState(),
        replies: inputResponses ?? {},
        notify: (params) =>
          // Its client may be gone by now.
          Effect.ignore(
            Effect.tryPromise(() => notify({ method: "notifications/progress", params: { ...params } })),
          ),
      }),
      context,
    )
  })
  server.setRequestHandler("resources/list", (_, context) =>
    run(Effect.mapError(resources.list, errorOf(names)), context),
  )
  server.setRequestHandler("resources/templates/list", () => ({ resourceTemplates: [template] }))
  server.setRequestHandler("resources/read", ({ params: { uri } }, context) =>
    run(Effect.mapError(resources.read(uri), errorOf(names, uri)), context),
  )
  server.setRequestHandler("completion/complete", ({ params: { ref, argument, context: known } }, context) =>
    ref.type === "ref/resource" && ref.uri === template.uriTemplate
      ? run(Effect.mapError(resources.complete(argument, known?.arguments ?? {}), errorOf(names)), context)
      : { completion: { values: [] } },
  )
  server.setRequestHandler("prompts/list", () => ({ prompts: [...prompts.listing] }))
  server.setRequestHandler("prompts/get", ({ params }) => prompts.get(params.name, params.arguments))
  return server
}

/** What a client says that it can be asked: without a word on how, by a form. */
const questionsOf = (envelope: unknown): ReadonlyArray<QuestionKind> => {
  const { elicitation, sampling } = Option.getOrUndefined(decodeEnvelope(envelope))?.[key] ?? {}
  const takesForms =
    elicitation !== undefined && (elicitation.form !== undefined || elicitation.url === undefined)
  return [
    ...(takesForms ? (["elicitation"] as const) : []),
    ...(sampling === undefined ? [] : (["sampling"] as const)),
  ]
}

const key = "io.modelcontextprotocol/clientCapabilities"

const declared = Schema.optional(Schema.Unknown)

const decodeEnvelope = Schema.decodeUnknownOption(
  Schema.Struct({
    [key]: Schema.Struct({
      elicitation: Schema.optional(Schema.Struct({ form: declared, url: declared })),
      sampling: declared,
    }),
  }),
)

/** Of what stays as it is while a node runs, and is the same for everyone. */
const fixed = { ttlMs: 300_000, cacheScope: "public" } as const

/** A session or a file that is not there has an error of its own. (MCP 2026-07-28, "Resources", "Error Handling".) */
const errorOf = (names: ToolNames, uri?: string) => (error: Explained) => {
  const { code, message, next } = failureOf(names.inError(error))
  return uri !== undefined && code.endsWith("not_found")
    ? new ResourceNotFoundError(uri, `${message} ${next}`)
    : new ProtocolError(ProtocolErrorCode.InvalidParams, `${message} ${next}`, { code })
}
