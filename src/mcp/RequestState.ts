/**
 * What goes to a client with a question where there are no connections, and comes back with what it says: which
 * question of which call that is. Nobody can make one up: the call's caller has an id of 128 random bits, which nobody but
 * its client was told, and the owner goes on with an operation for the caller that began it alone. The session stands in
 * the call, and is checked as in any other. What is left to change in it spoils one's own call.
 * (MCP 2026-07-28, "Multi Round-Trip Requests".)
 */
import { ErrorCode } from "@modelcontextprotocol/sdk/types.js"
import { Effect, Schema } from "effect"
import { createHash } from "node:crypto"
import { ConnectionId, OperationId } from "../domain/Identity.ts"
import type { CallParams } from "./ToolCalls.ts"

export interface RequestState {
  /** Who began the call. */
  readonly caller: ConnectionId
  readonly operation: OperationId
  /** The number of the event that asks. */
  readonly question: number
}

/** The state as its client gets it with a question of that call. */
export const encode = ({ caller, operation, question }: RequestState, asked: CallParams) =>
  `${caller}.${operation}.${question}.${digestOf(asked)}`

/** The state that a repeat of the call brings back. */
export const decode = (
  state: string,
  asked: CallParams,
): Effect.Effect<RequestState, UnknownRequestState> => {
  const [, caller, operation, question, digest] =
    /^(c_[0-9a-f]{32})\.([A-Za-z0-9_-]{1,64})\.(\d{1,15})\.([A-Za-z0-9_-]+)$/.exec(state) ?? []
  return caller === undefined || operation === undefined || digest !== digestOf(asked)
    ? new UnknownRequestState()
    : Effect.succeed({
        caller: ConnectionId.make(caller),
        operation: OperationId.make(operation),
        question: Number(question),
      })
}

/** No call waits for it. */
export class UnknownRequestState extends Schema.TaggedError<UnknownRequestState>()(
  "UnknownRequestState",
  {},
) {
  /** The SDK answers with the code and the data that an error carries. */
  readonly code = ErrorCode.InvalidParams
  readonly data = { reason: "invalid_request_state" }
  override get message() {
    return "No call waits for this requestState: it was changed, belongs to a call with other arguments, or its call is over. Call again without it."
  }
}

/** A repeat asks the same as its call. */
const digestOf = ({ arguments: given = {}, name }: CallParams) =>
  createHash("sha256")
    .update(JSON.stringify([name, given]))
    .digest("base64url")
