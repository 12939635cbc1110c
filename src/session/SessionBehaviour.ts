/**
 * A session's entity on the node that owns it. It claims the session with its first call, so that a Postgres
 * out of reach is an error of that call. When it ends because the node leaves, or because the ring has given its shard
 * to another node, what runs may end, and is saved, before that node can claim it. Otherwise (idle, or Postgres is out
 * of reach and with it all shards) what the node holds stays: the session may come back, and if another node claims it
 * first, the reconciler finds the sandbox unbound and removes it.
 */
import { Entity, Sharding } from "@effect/cluster"
import { Effect } from "effect"
import type { Origin } from "../domain/Event.ts"
import { type ConnectionId, type OperationId, SessionId } from "../domain/Identity.ts"
import { withOnly } from "../domain/Narrowed.ts"
import { Waiters } from "../domain/Waiters.ts"
import { heldShards } from "./HeldShards.ts"
import { HeldSessions } from "./HeldSessions.ts"
import * as Mailboxes from "./Mailboxes.ts"
import type { Operations, Page } from "./Operations.ts"
import { SessionEntity } from "./SessionEntity.ts"
import { changes } from "./Subscriptions.ts"
import { SessionRows } from "./SessionRows.ts"

/** Requests for other sessions that are remembered. */
const maxAbroad = 256

/** How long a cancel waits for its request, which may come by another node, in milliseconds. */
const overtakenMs = 2_000

const paged = ({ events, reply }: Page) => ({ events, reply: reply ?? null })

export const layer = SessionEntity.toLayer(
  Effect.gen(function* () {
    const { entityId, shardId } = yield* Entity.CurrentAddress
    const sharding = yield* Sharding.Sharding
    const sessions = yield* HeldSessions
    const rows = yield* SessionRows
    const id = SessionId.make(entityId)
    const lock = yield* Effect.makeSemaphore(1)
    let claimed: Operations | undefined
    /** Requests of the session's own connections for other sessions; an owner before this one had others. */
    const abroad: Array<{
      readonly origin: Origin
      readonly operation: OperationId
      readonly session: SessionId
    }> = []

    /** Cancels whose request has not come yet. */
    const early = new Waiters()

    const held = {
      sandbox: () => sessions.sandbox(id),
      isHere: () => sharding.hasShardId(shardId),
    }
    const mailboxes = Mailboxes.make({ ...held, subscriptionsOf: rows.subscriptionsOf })

    const requested = (connection: ConnectionId, request: Origin["request"]) =>
      abroad.findLast(({ origin }) => origin.connection === connection && origin.request === request)

    const elsewhere = (connection: ConnectionId, operation: OperationId) =>
      abroad.findLast((note) => note.operation === operation && note.origin.connection === connection)

    const known = <E>(otherwise: Effect.Effect<Operations, E>) =>
      Effect.suspend(() =>
        claimed === undefined || sessions.isOutdated(id) ? otherwise : Effect.succeed(claimed),
      )

    const claim = known(
      known(Effect.tap(sessions.claim(id), (operations) => (claimed = operations))).pipe(lock.withPermits(1)),
    )

    yield* Effect.addFinalizer(() =>
      Effect.gen(function* () {
        const isOwned = sharding.hasShardId(shardId)
        const moves = !isOwned && heldShards(sharding) > 0
        yield* moves || (yield* sharding.isShutdown) ? sessions.leave(id) : sessions.rest(id, isOwned)
      }),
    )

    return SessionEntity.of({
      Run: ({ payload: { operation, after, waitMs } }) =>
        Effect.gen(function* () {
          const operations = yield* claim
          yield* operations.begin(operation)
          early.wake()
          return paged(yield* operations.page(operation.id, after ?? undefined, waitMs))
        }),
      Read: ({ payload: { operation, after, waitMs } }) =>
        Effect.gen(function* () {
          const operations = yield* claim
          return paged(yield* operations.page(operation, after ?? undefined, waitMs))
        }),
      Follow: ({ payload: { operation } }) => Effect.sync(() => claimed?.follow(operation)),
      Resume: ({ payload: { connection, operation, as, after, waitMs } }) =>
        Effect.gen(function* () {
          const note = elsewhere(connection, operation)
          if (note !== undefined) return { _tag: "Elsewhere" as const, session: note.session }
          const operations = yield* claim
          const page = yield* operations.resume(connection, operation, after ?? 0, waitMs, as)
          if (page?.origin !== undefined)
            return { _tag: "Here" as const, ...paged(page), origin: page.origin }
          const session = yield* rows.elsewhere(id, connection, { operation })
          return session === undefined
            ? { _tag: "Unknown" as const }
            : { _tag: "Elsewhere" as const, session }
        }),
      Cancel: ({ payload: { connection, request } }) =>
        Effect.gen(function* () {
          const isKnown = () =>
            requested(connection, request) !== undefined || claimed?.knows(connection, request) === true
          if (!isKnown()) {
            const session = yield* rows.elsewhere(id, connection, { request })
            if (session !== undefined) return session
          }
          yield* early.until(isKnown, overtakenMs)
          const note = requested(connection, request)
          // The one that began last; a session that is closed has none.
          const isHere = yield* Effect.flatMap(claim, ({ cancel }) => cancel(connection, request)).pipe(
            Effect.catchIf(
              () => note !== undefined,
              () => Effect.succeed(false),
            ),
          )
          return isHere ? null : (note?.session ?? null)
        }),
      Answer: ({ payload: { connection, operation, question, reply } }) =>
        Effect.gen(function* () {
          const note = elsewhere(connection, operation)
          if (note !== undefined) return note.session
          const { answer } = yield* claim
          answer(connection, operation, question, reply)
          return null
        }),
      Note: ({ payload }) =>
        Effect.sync(() => {
          abroad.push(payload)
          if (abroad.length > maxAbroad) abroad.shift()
          early.wake()
        }),
      Listen: ({ payload }) => mailboxes.listen(payload),
      Subscribe: ({ payload: { connection } }) => mailboxes.subscribe(connection),
      Post: ({ payload: { connection, name, message } }) => mailboxes.post(connection, name, message),
      Changes: ({ payload }) => changes(held, payload),
      Release: () =>
        Effect.gen(function* () {
          claimed = undefined
          mailboxes.clear()
          yield* sessions.release(id)
        }),
    })
  }),
  {
    concurrency: "unbounded",
    disableFatalDefects: true,
    mailboxCapacity: 1024,
    // What runs does not end with the entity: `HeldSessions` has it. This only frees memory.
    maxIdleTime: "1 minute",
  },
).pipe(withOnly(Sharding.Sharding, HeldSessions, SessionRows))
