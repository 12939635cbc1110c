/**
 * Sessions as callers use them. Hides where a session lives, that it may move, and what is safe to repeat:
 * an operation is begun again under its own id, which its owner's records keep from running twice.
 */
import type { AlreadyProcessingMessage, MailboxFull, PersistenceError } from "@effect/cluster/ClusterError"
import { Cause, Context, Effect, Layer } from "effect"
import type { SessionId } from "../domain/Identity.ts"
import type { Operation, Reply } from "../domain/Operation.ts"
import { type SessionError, SessionMoved, TooManyOperations, Unavailable } from "../domain/SessionError.ts"
import { SessionEntity } from "./SessionEntity.ts"

/** One wait at the owner, in milliseconds. */
const maxWaitMs = 3000

/** How long an owner is looked for, in milliseconds: several times what a takeover needs. */
const patienceMs = 45_000

export class Sessions extends Context.Tag("codegen-mcp/session/Sessions")<
  Sessions,
  {
    /**
     * Runs an operation. Waits for its end, or for `answerMs` milliseconds where its tool can answer before; an
     * operation ends neither by that nor by a caller that goes away.
     */
    readonly call: (
      session: SessionId,
      operation: Operation,
      answerMs?: number,
    ) => Effect.Effect<Reply, SessionError>
    /** Ends what its owner holds for a closed session; gives up after a few seconds and leaves it to the reconciler. */
    readonly release: (session: SessionId) => Effect.Effect<void>
  }
>() {
  static readonly layer = Layer.effect(
    Sessions,
    Effect.gen(function* () {
      const client = yield* SessionEntity.client
      const call = Effect.fn("Sessions.call")(function* (
        session: SessionId,
        operation: Operation,
        answerMs = Infinity,
      ) {
        const entity = client(session)
        const answerAt = performance.now() + answerMs
        let heardAt = performance.now()
        let known = false
        for (;;) {
          const left = Math.max(0, Math.ceil(answerAt - performance.now()))
          const wait = { waitMs: Math.min(left, maxWaitMs), partial: left <= maxWaitMs }
          const page: Reply | null | "moved" = yield* answered(
            known ? entity.Read({ operation: operation.id, ...wait }) : entity.Run({ operation, ...wait }),
          ).pipe(
            Effect.catchTag("SessionMoved", () => Effect.as(Effect.sleep("100 millis"), "moved" as const)),
          )
          if (page === null) heardAt = performance.now()
          else if (page !== "moved") return page
          else if (performance.now() - heardAt > patienceMs)
            return yield* new Unavailable({ what: "the session's node" })
          known = page === null
        }
      })

      return {
        call,
        release: (session) =>
          client(session)
            .Release()
            .pipe(
              Effect.timeout("8 seconds"),
              Effect.catchAllCause((cause) =>
                Effect.logDebug("release left to the reconciler", Cause.pretty(cause)),
              ),
            ),
      }
    }),
  )
}

/**
 * One call of the entity, bounded. An owner that goes away looks like an interrupt to its caller, and one
 * that is frozen like nothing at all: both become `SessionMoved`.
 */
const answered = <A>(
  call: Effect.Effect<A, SessionError | MailboxFull | AlreadyProcessingMessage | PersistenceError>,
): Effect.Effect<A, SessionError> =>
  call.pipe(
    Effect.timeoutFail({ duration: 2 * maxWaitMs, onTimeout: () => new SessionMoved() }),
    Effect.catchTags({
      MailboxFull: () => Effect.fail(new TooManyOperations({ limit: 1024 })),
      AlreadyProcessingMessage: () => Effect.fail(new SessionMoved()),
      PersistenceError: () => Effect.fail(new Unavailable({ what: "Postgres" })),
    }),
    Effect.catchAllCause((cause) =>
      Cause.isInterruptedOnly(cause) ? Effect.fail(new SessionMoved()) : Effect.failCause(cause),
    ),
  )
