/** A tool call as it comes from a client, carried to where the tool runs. */
import {
  type CallToolRequest,
  type CallToolResult,
  ErrorCode,
  type RequestId,
} from "@modelcontextprotocol/sdk/types.js"
import { Context, Effect, Layer, Schema } from "effect"
import type { LogLevel, Origin, QuestionKind, QuestionReply } from "../domain/Event.ts"
import { type Explained, explained } from "../domain/Failure.ts"
import {
  type ConnectionId,
  OperationId,
  operationIdKey,
  type Principal,
  randomId,
  type SessionId,
} from "../domain/Identity.ts"
import { NodeIdentity } from "../domain/NodeIdentity.ts"
import type { Reply } from "../domain/Operation.ts"
import { SessionDirectory } from "../domain/SessionDirectory.ts"
import type { SessionError } from "../domain/SessionError.ts"
import { type Request, Sessions } from "../session/Sessions.ts"
import { settings } from "../Settings.ts"
import { Registry } from "../tools/Registry.ts"
import { type AnyOwnerTool, required } from "../tools/Tool.ts"
import { Objects } from "../workspace/Objects.ts"
import type { Connection } from "./Connections.ts"
import type { Follower } from "./EventStream.ts"
import type { AskOwner } from "./Resources.ts"
import * as PublicUrl from "./PublicUrl.ts"
import { answered, argumentsOf, failed, refused, renamed, resultOf } from "./Presentation.ts"

export type CallParams = CallToolRequest["params"]

/** Who asks: a connection, or a request that comes without one, and then is a caller of its own. */
export interface Caller {
  readonly id: ConnectionId
  /** The session that calls without `session_id` mean. */
  readonly session: SessionId | undefined
  /** The least weight of what its client's log shows; null where it shows nothing. */
  readonly logLevel: LogLevel | null
  /** What its client can be asked. */
  readonly questions: ReadonlyArray<QuestionKind>
  readonly protocolVersion: string
  /** Its calls end with their requests. */
  readonly isFollowed?: true
}

/** Who asked, and the session that it asked in or is at home in. */
type Home = Pick<Connection, "id" | "session" | "protocolVersion">

/** There is no tool of that name: the protocol's own error, not a result. */
export class UnknownTool extends Schema.TaggedError<UnknownTool>()("UnknownTool", {
  tool: Schema.String,
  known: Schema.Array(Schema.String),
}) {
  /** The SDK answers with the code that an error carries. */
  readonly code = ErrorCode.InvalidParams
  override get message() {
    return `There is no tool ${JSON.stringify(this.tool.slice(0, 80))}; there are ${this.known.join(", ")}.`
  }
}

export class ToolCalls extends Context.Tag("codegen-mcp/mcp/ToolCalls")<
  ToolCalls,
  {
    /**
     * Runs a tool until it answers; whatever goes wrong is in the result, for the model to read. Waits for ever where
     * its client cancels it, and says so.
     */
    readonly call: (
      principal: Principal,
      caller: Caller,
      request: RequestId,
      params: CallParams,
      follower: Follower,
    ) => Effect.Effect<CallToolResult, UnknownTool>
    /** Runs one of the tools behind resources in a session, a connection's own for instance. */
    readonly askOwner: (holder: { readonly session: SessionId }) => AskOwner
    /** Goes on with a call of the connection, after an event that its client has; undefined for an unknown one. */
    readonly resume: (
      connection: Home,
      place: Omit<Request, "connection">,
      follower: Follower,
    ) => Effect.Effect<
      { readonly request: RequestId; readonly result: CallToolResult } | undefined,
      SessionError
    >
    /** Takes what the client says to a question. */
    readonly answer: (
      connection: Home,
      place: { readonly operation: OperationId; readonly question: number },
      reply: QuestionReply,
    ) => Effect.Effect<void, SessionError>
    /** Ends what runs for a request of the caller, if anything does. */
    readonly cancel: (caller: Caller, request: RequestId) => Effect.Effect<void, SessionError>
  }
>() {
  static readonly layer = Layer.effect(
    ToolCalls,
    Effect.gen(function* () {
      const directory = yield* SessionDirectory
      const sessions = yield* Sessions
      const { node } = yield* NodeIdentity
      const registry = yield* Registry
      const objects = yield* Objects
      const baseOf = yield* PublicUrl.make
      const isStrict = yield* settings.testsFailedIsError.config
      /** A reply as its client is to see it, unless it wants none. */
      const told = (reply: Reply, { end }: Follower, { protocolVersion }: Pick<Caller, "protocolVersion">) =>
        reply._tag === "Cancelled"
          ? Effect.zipRight(end(undefined), Effect.never)
          : Effect.succeed(resultOf(reply, protocolVersion, isStrict))

      const { names } = registry
      return {
        call: Effect.fnUntraced(function* (principal, caller, request, params, follower) {
          const tool = registry.findListed(params.name)
          if (tool === undefined) {
            return yield* new UnknownTool({
              tool: params.name,
              known: registry.listed.map(({ name }) => names.shown(name)),
            })
          }
          const given = argumentsOf(tool, params.arguments ?? {})
          if (given.failure !== undefined) return failed(given.failure)
          const operationId = yield* Effect.either(operationIdOf(params))
          if (operationId._tag === "Left") return failed(operationId.left)

          const session =
            given.session === undefined || given.session === caller.session
              ? Effect.succeed(caller.session)
              : Effect.map(directory.find(principal, given.session), ({ id }) => id)
          const base = yield* baseOf
          const origin: Origin = {
            connection: caller.id,
            request,
            ...(follower.takesEvents ? wishesOf(caller, params) : {}),
          }
          const callOwner = (session: SessionId, tool: AnyOwnerTool) =>
            Effect.gen(function* () {
              const id = operationId.right
              if (caller.session !== undefined && session !== caller.session) {
                yield* sessions.note(caller.session, origin, id, session)
              }
              yield* follower.begun(id)
              const reply = yield* sessions.call(
                session,
                {
                  id,
                  tool: tool.name,
                  input: given.input,
                  edgeNode: node,
                  origin,
                  base,
                  isFollowed: caller.isFollowed,
                  answerMs: tool.partial?.waitMs(given.decoded),
                },
                follower.takesEvents ? follower.event : undefined,
              )
              return yield* told(reply, follower, caller)
            })
          return yield* Effect.flatMap(session, (session): Effect.Effect<CallToolResult, Explained> =>
            tool.place === "edge"
              ? Effect.flatMap(
                  tool.handler(given.decoded, { principal, session, directory, objects, base }),
                  (output) =>
                    Effect.map(Effect.orDie(Schema.encodeUnknown(tool.output)(output)), (encoded) =>
                      answered(encoded, tool.content?.(output), caller.protocolVersion),
                    ),
                )
              : Effect.flatMap(required(session), (session) => callOwner(session, tool)),
          ).pipe(
            Effect.catchAll((error) => Effect.succeed(refused(error))),
            Effect.map((result) => renamed(result, names)),
          )
        }),

        askOwner:
          ({ session }): AskOwner =>
          (tool: AnyOwnerTool, input: unknown) =>
            Effect.gen(function* () {
              const id = OperationId.make(yield* randomId("o_"))
              const reply = yield* sessions.call(session, {
                id,
                tool: tool.name,
                input,
                edgeNode: node,
              })
              if (reply._tag === "Failed") {
                return yield* Effect.fail(explained(reply.failure))
              }
              return yield* Effect.orDie(
                Schema.decodeUnknown(tool.output)(reply._tag === "Cancelled" ? undefined : reply.output),
              )
            }),

        resume: Effect.fn("ToolCalls.resume")(function* (home, place, follower) {
          const { id, session } = home
          yield* follower.begun(place.operation)
          const resumed = yield* sessions.resume(session, { connection: id, ...place }, follower.event)
          return resumed === undefined
            ? undefined
            : {
                request: resumed.origin.request,
                result: renamed(yield* told(resumed.reply, follower, home), names),
              }
        }),

        answer: (connection, place, reply) =>
          sessions.answer(connection.session, connection.id, place, reply),

        cancel: ({ id, session }, request) =>
          session === undefined ? Effect.void : sessions.cancel(session, id, request),
      }
    }),
  )
}

/** What its client takes before the answer. */
const wishesOf = ({ logLevel, questions }: Caller, { _meta }: CallParams) => ({
  ...(_meta?.progressToken === undefined ? {} : { progress: _meta.progressToken }),
  ...(logLevel === null ? {} : { log: logLevel }),
  ...(questions.length === 0 ? {} : { questions }),
})

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
