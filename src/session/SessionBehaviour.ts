/**
 * A session's entity on the node that owns it. It claims the session with its first call, so that a Postgres
 * out of reach is an error of that call. When it ends because the node leaves, the session is released.
 * Otherwise (idle, Postgres restarted, shard moved) what the node holds stays: the session may come back,
 * and if another node claims it first, the reconciler finds the sandbox unbound and removes it.
 */
import { Entity, Sharding } from "@effect/cluster"
import { Effect } from "effect"
import { SessionId } from "../domain/Identity.ts"
import { HeldSessions } from "./HeldSessions.ts"
import type { Operations } from "./Operations.ts"
import { SessionEntity } from "./SessionEntity.ts"

export const layer = SessionEntity.toLayer(
  Effect.gen(function* () {
    const { entityId } = yield* Entity.CurrentAddress
    const sharding = yield* Sharding.Sharding
    const sessions = yield* HeldSessions
    const id = SessionId.make(entityId)
    const lock = yield* Effect.makeSemaphore(1)
    let claimed: Operations | undefined

    const claim = Effect.suspend(() =>
      claimed === undefined
        ? Effect.tap(sessions.claim(id), (operations) => (claimed = operations))
        : Effect.succeed(claimed),
    ).pipe(lock.withPermits(1))

    yield* Effect.addFinalizer(() =>
      Effect.gen(function* () {
        yield* (yield* sharding.isShutdown) ? sessions.release(id) : sessions.rest(id)
      }).pipe(
        Effect.interruptible,
        Effect.timeout("4 seconds"),
        Effect.catchAllCause((cause) => Effect.logWarning("a session was not released in time", cause)),
      ),
    )

    return SessionEntity.of({
      Run: ({ payload: { operation, waitMs, partial } }) =>
        Effect.gen(function* () {
          const operations = yield* claim
          yield* operations.begin(operation)
          return (yield* operations.reply(operation.id, waitMs, partial)) ?? null
        }),
      Read: ({ payload: { operation, waitMs, partial } }) =>
        Effect.gen(function* () {
          const operations = yield* claim
          return (yield* operations.reply(operation, waitMs, partial)) ?? null
        }),
      Release: () =>
        Effect.zipRight(
          Effect.sync(() => (claimed = undefined)),
          sessions.release(id),
        ),
    })
  }),
  {
    concurrency: "unbounded",
    disableFatalDefects: true,
    mailboxCapacity: 1024,
    // What runs does not end with the entity: `HeldSessions` has it. This only frees memory.
    maxIdleTime: "15 minutes",
  },
)
