/**
 * Tool calls of the session-less revision. A call ends with its client, unless that was told how the call stands. One
 * that asks its client is answered with the question, and waits; the client repeats it with what it says, at any node,
 * and goes on with the very operation that asked. (MCP 2026-07-28, "Multi Round-Trip Requests".)
 */
import type { InputRequest, InputRequiredResult } from "@modelcontextprotocol/server"
import type { CallToolResult, ProgressToken } from "@modelcontextprotocol/sdk/types.js"
import { Deferred, Effect } from "effect"
import type { Question, QuestionKind } from "../domain/Event.ts"
import { ConnectionId, type OperationId, type Principal, randomId } from "../domain/Identity.ts"
import type { Explained } from "../domain/Failure.ts"
import { cancelled } from "../domain/Operation.ts"
import { SessionDirectory } from "../domain/SessionDirectory.ts"
import { type SessionError, SessionRequired } from "../domain/SessionError.ts"
import { Catalogue } from "./Catalogue.ts"
import { type Follower, methods } from "./EventStream.ts"
import { refused, resultOf } from "./Presentation.ts"
import * as RequestState from "./RequestState.ts"
import { type Caller, type CallParams, ToolCalls, type UnknownTool } from "./ToolCalls.ts"

/** Tells a request's client of progress. */
export type Notify = (progress: {
  readonly progressToken: ProgressToken
  readonly progress: number
  readonly message?: string | undefined
}) => Effect.Effect<void>

/** A call as it comes in. */
export interface SessionlessCall {
  readonly params: CallParams
  /** What its client can be asked. */
  readonly questions: ReadonlyArray<QuestionKind>
  /** Of a repeat: what came with the question. */
  readonly state: string | undefined
  /** What the client says, by the names of the questions. */
  readonly replies: Readonly<Record<string, unknown>>
  /** Undefined where its client takes nothing before the answer. */
  readonly notify: Notify | undefined
}

type Result = CallToolResult | InputRequiredResult

export type Answer = Effect.Effect<Result, UnknownTool | RequestState.UnknownRequestState>

/** Makes what answers calls; one that is waited for once there is a `farewell` is answered with that. */
export const make = Effect.fnUntraced(function* (farewell: Effect.Effect<CallToolResult>) {
  const directory = yield* SessionDirectory
  const tools = yield* ToolCalls
  const { names } = yield* Catalogue
  const failed = (error: Explained) => refused(names.inError(error))

  return (principal: Principal, { notify, params, questions, replies, state }: SessionlessCall): Answer =>
    Effect.gen(function* () {
      const place = state === undefined ? undefined : yield* RequestState.decode(state, params)
      const named = params.arguments?.["session_id"]
      const session = typeof named === "string" ? (yield* directory.find(principal, named)).id : undefined
      // A connection of one call: so it is cancelled, and no other.
      const id = place?.caller ?? ConnectionId.make(yield* randomId("c_"))
      const caller: Caller = {
        id,
        logLevel: null,
        questions,
        session,
        protocolVersion: revision,
        isFollowed: true,
      }
      // Each repeat is a request of its own, with which the operation ends from then on.
      const request = yield* randomId("o_")
      const over = yield* Deferred.make<Result>()
      let begun: OperationId | undefined
      const token = params._meta?.progressToken
      const follower: Follower = {
        takesEvents: notify !== undefined || questions.length > 0,
        isResumable: () => false,
        begun: (operation) => Effect.sync(() => (begun = operation)),
        event: ({ event, seq }) => {
          if (event._tag === "Progress" && token !== undefined && notify !== undefined) {
            return notify({ progressToken: token, progress: event.progress, message: event.message })
          }
          return event._tag === "Question" && begun !== undefined
            ? Deferred.succeed(
                over,
                asking(event, RequestState.encode({ caller: id, operation: begun, question: seq }, params)),
              )
            : Effect.void
        },
        // By a request that joined the operation after this one.
        end: () =>
          begun === undefined ? Effect.void : Deferred.succeed(over, resultOf(cancelled(begun), revision)),
      }
      const goOn = Effect.fnUntraced(function* ({ operation, question }: RequestState.RequestState) {
        if (session === undefined) return failed(new SessionRequired())
        const home = { id, session, protocolVersion: revision }
        const said = replies[theQuestion]
        if (said !== undefined) {
          yield* tools.answer(home, { operation, question }, { _tag: "Answer", result: said })
        }
        // Who says nothing is asked again.
        const after = said === undefined ? question - 1 : question
        const resumed = yield* tools.resume(home, { operation, after, as: request }, follower)
        return resumed === undefined ? yield* new RequestState.UnknownRequestState() : resumed.result
      })
      const answer: Effect.Effect<Result, UnknownTool | RequestState.UnknownRequestState | SessionError> =
        place === undefined ? tools.call(principal, caller, request, params, follower) : goOn(place)
      return yield* answer.pipe(
        Effect.raceFirst(Deferred.await(over)),
        Effect.raceFirst(farewell),
        Effect.onInterrupt(() => Effect.forkDaemon(Effect.ignore(tools.cancel(caller, request)))),
      )
    }).pipe(
      Effect.catchIf(
        (error) => error._tag !== "UnknownTool" && error._tag !== "UnknownRequestState",
        (error) => Effect.succeed(failed(error)),
      ),
    )
})

/** A question as the answer to the call that asks it. */
const asking = ({ kind, params }: Question, requestState: string): InputRequiredResult => ({
  resultType: "input_required",
  inputRequests: { [theQuestion]: { method: methods[kind], params } as unknown as InputRequest },
  requestState,
})

/** One is asked at a time. */
const theQuestion = "question"

const revision = "2026-07-28"
