/**
 * Sessions as callers use them. Hides where a session lives, that it may move, and what is safe to repeat:
 * an operation is begun again under its own id, which its owner's records keep from running twice.
 */
import type { AlreadyProcessingMessage, MailboxFull, PersistenceError } from "@effect/cluster/ClusterError"
import { Cause, Context, Effect, Layer } from "effect"
import type { SessionId } from "../domain/Identity.ts"
import type { Operation, Outcome } from "../domain/Operation.ts"
import { type SessionError, SessionMoved, TooManyOperations, Unavailable } from "../domain/SessionError.ts"
import { SessionEntity } from "./SessionEntity.ts"

/** One wait at the owner, in milliseconds. */
const waitMs = 3000

/** How long an owner is looked for, in milliseconds: several times what a takeover needs. */
const patienceMs = 45_000

export class Sessions extends Context.Tag("codegen-mcp/session/Sessions")<
  Sessions,
  {
    /** Runs an operation to its end. A caller that goes away does not end it. */
    readonly call: (session: SessionId, operation: Operation) => Effect.Effect<Outcome, SessionError>
    /** Ends what its owner holds for a closed session; gives up after a few seconds and leaves it to the reconciler. */
    readonly release: (session: SessionId) => Effect.Effect<void>
  }
>() {
  static readonly layer = Layer.effect(
    Sessions,
    Effect.gen(function* () {
      const client = yield* SessionEntity.client
      const call = Effect.fn("Sessions.call")(function* (session: SessionId, operation: Operation) {
        const entity = client(session)
        let heardAt = performance.now()
        let known = false
        for (;;) {
          const page: Outcome | null | "moved" = yield* answered(
            known ? entity.Read({ operation: operation.id, waitMs }) : entity.Run({ operation, waitMs }),
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
    Effect.timeoutFail({ duration: 2 * waitMs, onTimeout: () => new SessionMoved() }),
    Effect.catchTags({
      MailboxFull: () => Effect.fail(new TooManyOperations({ limit: 1024 })),
      AlreadyProcessingMessage: () => Effect.fail(new SessionMoved()),
      PersistenceError: () => Effect.fail(new Unavailable({ what: "Postgres" })),
    }),
    Effect.catchAllCause((cause) =>
      Cause.isInterruptedOnly(cause) ? Effect.fail(new SessionMoved()) : Effect.failCause(cause),
    ),
  )
