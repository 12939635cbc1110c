/**
 * Removes containers that outlived their purpose. Of this incarnation's own: those that this node does not
 * hold, and those it holds although Postgres gave their session to another or closed it. Of others': those
 * whose incarnation is dead. Nothing is removed below the grace period, or while Postgres does not answer.
 */
import { SqlClient } from "@effect/sql"
import { Clock, Duration, Effect, Layer, Schedule } from "effect"
import { NodeIdentity } from "../domain/NodeIdentity.ts"
import { settings } from "../Settings.ts"
import * as Container from "./Container.ts"
import { Sandboxes } from "./Sandboxes.ts"

/** Looks at once, and then at each `RECONCILE_INTERVAL`. */
export const layer = Layer.scopedDiscard(
  Effect.gen(function* () {
    const interval = yield* settings.reconcileInterval.config
    yield* reconcile.pipe(
      Effect.catchAll((error) => Effect.logWarning("leftovers could not be looked for", error.message)),
      Effect.repeat(Schedule.spaced(interval)),
      Effect.forkScoped,
    )
  }),
)

/** Looks once, and answers with the containers that it removed. */
export const reconcile = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const sandboxes = yield* Sandboxes
  const { incarnation } = yield* NodeIdentity
  const grace = Duration.toMillis(yield* settings.reconcileGrace.config)
  const expiry = Duration.toSeconds(yield* settings.nodeExpiry.config)

  const containers = yield* Container.list
  const live = yield* sql<{ incarnation: string }>`
    SELECT incarnation FROM node WHERE ended_at IS NULL AND seen_at > now() - make_interval(secs => ${expiry})`
  const bound = yield* sql<{ container: string }>`
    SELECT container FROM session WHERE incarnation = ${incarnation} AND container IS NOT NULL AND closed_at IS NULL`
  const alive = new Set(live.map((row) => row.incarnation))
  const bindings = new Set(bound.map((row) => row.container))

  const now = yield* Clock.currentTimeMillis
  const leftovers = containers.filter(
    (container) =>
      now - container.createdAt > grace &&
      (container.incarnation === incarnation
        ? !sandboxes.holds(container.id) || !bindings.has(container.id)
        : !alive.has(container.incarnation)),
  )
  yield* Effect.forEach(leftovers, ({ id }) => sandboxes.remove(id), { concurrency: 4, discard: true })
  if (leftovers.length > 0) yield* Effect.logInfo(`removed ${leftovers.length} leftover containers`)
  return leftovers.map(({ id }) => id)
}).pipe(Effect.withSpan("Reconciler.reconcile"))
