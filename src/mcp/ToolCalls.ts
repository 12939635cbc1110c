/** A tool call as it comes from a client, carried to where the tool runs. */
import { type CallToolRequest, type CallToolResult, ErrorCode } from "@modelcontextprotocol/sdk/types.js"
import { Context, Effect, Layer, Schema } from "effect"
import type { Explained } from "../domain/Failure.ts"
import { OperationId, type Principal, randomId } from "../domain/Identity.ts"
import { NodeIdentity } from "../domain/NodeIdentity.ts"
import { SessionDirectory } from "../domain/SessionDirectory.ts"
import { Sessions } from "../session/Sessions.ts"
import * as Registry from "../tools/Registry.ts"
import type { Connection } from "./Connections.ts"
import { answered, argumentsOf, failed, refused, resultOf } from "./Presentation.ts"

export type CallParams = CallToolRequest["params"]

/** There is no tool of that name: the protocol's own error, not a result. */
export class UnknownTool extends Schema.TaggedError<UnknownTool>()("UnknownTool", { tool: Schema.String }) {
  /** The SDK answers with the code that an error carries. */
  readonly code = ErrorCode.InvalidParams
  override get message() {
    const names = Registry.all.map((tool) => tool.name).join(", ")
    return `There is no tool ${JSON.stringify(this.tool.slice(0, 80))}; there are ${names}.`
  }
}

/** The `_meta` key by which a client names its operation, so that a repeat joins it. */
export const operationIdKey = "io.codegen-mcp/operation-id"

export class ToolCalls extends Context.Tag("codegen-mcp/mcp/ToolCalls")<
  ToolCalls,
  {
    /** Runs a tool to its end; whatever goes wrong is in the result, for the model to read. */
    readonly call: (
      principal: Principal,
      connection: Connection,
      params: CallParams,
    ) => Effect.Effect<CallToolResult, UnknownTool>
  }
>() {
  static readonly layer = Layer.effect(
    ToolCalls,
    Effect.gen(function* () {
      const directory = yield* SessionDirectory
      const sessions = yield* Sessions
      const { node } = yield* NodeIdentity

      return {
        call: Effect.fn("ToolCalls.call")(function* (principal, connection, params) {
          const tool = Registry.find(params.name)
          if (tool === undefined) return yield* new UnknownTool({ tool: params.name })
          const given = argumentsOf(tool, params.arguments ?? {})
          if (given.failure !== undefined) return failed(given.failure)
          const operationId = yield* Effect.either(operationIdOf(params))
          if (operationId._tag === "Left") return failed(operationId.left)

          const session =
            given.session === undefined
              ? Effect.succeed(connection.session)
              : Effect.map(directory.find(principal, given.session), ({ id }) => id)
          return yield* Effect.flatMap(session, (session): Effect.Effect<CallToolResult, Explained> =>
            tool.place === "edge"
              ? Effect.flatMap(tool.handler(given.decoded, { principal, session, directory }), (output) =>
                  Effect.map(Effect.orDie(Schema.encodeUnknown(tool.output)(output)), answered),
                )
              : Effect.map(
                  sessions.call(
                    session,
                    { id: operationId.right, tool: tool.name, input: given.input, edgeNode: node },
                    tool.partial?.waitMs(given.decoded),
                  ),
                  resultOf,
                ),
          ).pipe(Effect.catchAll((error) => Effect.succeed(refused(error))))
        }),
      }
    }),
  )
}

const operationIdOf = (params: CallParams) => {
  const chosen = params._meta?.[operationIdKey]
  return chosen === undefined
    ? Effect.map(randomId("o_"), (id) => OperationId.make(id))
    : Schema.decodeUnknown(OperationId)(chosen).pipe(
        Effect.mapError(() => ({
          code: "invalid_arguments",
          message: `_meta["${operationIdKey}"] must be 1 to 64 letters, digits, “_” and “-”.`,
          next: "Correct it, or leave it out.",
        })),
      )
}
