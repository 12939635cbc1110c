/** What a session's entity answers. Callers use `Sessions`, which knows what to repeat and what not. */
import { Entity } from "@effect/cluster"
import { Rpc } from "@effect/rpc"
import { Schema } from "effect"
import { OperationId } from "../domain/Identity.ts"
import { Operation, Reply } from "../domain/Operation.ts"
import { SessionError } from "../domain/SessionError.ts"

/** Null while the operation still runs, and the caller waits on. */
const Page = Schema.NullOr(Reply)

/** How long an answer may be waited for, in milliseconds: short, so that no call holds a move up. */
const WaitMs = Schema.Int.pipe(Schema.between(0, 10_000))

export const SessionEntity = Entity.make("Session", [
  /**
   * Begins an operation, or joins the one of its id, and waits for its end. Where that does not come in time, `partial`
   * asks for what there is by then.
   */
  Rpc.make("Run", {
    payload: { operation: Operation, waitMs: WaitMs, partial: Schema.Boolean },
    success: Page,
    error: SessionError,
  }),
  /** Waits for the end of an operation. `SessionMoved` says that this owner does not know it: run it again. */
  Rpc.make("Read", {
    payload: { operation: OperationId, waitMs: WaitMs, partial: Schema.Boolean },
    success: Page,
    error: SessionError,
  }),
  /** Ends what the owner holds for a session whose row is closed. */
  Rpc.make("Release", { success: Schema.Void }),
])
