/**
 * Removes containers that outlived their purpose. Of this incarnation's own: those that this node does not
 * hold, and those it gave to a session although Postgres gave that to another node or closed it. Of others': those
 * whose incarnation is dead. Nothing is removed below the grace period, or while Postgres does not answer.
 */
import { SqlClient } from "@effect/sql"
import { Clock, Duration, Effect, Layer, Schedule } from "effect"
import { NodeIdentity } from "../domain/NodeIdentity.ts"
import { settings } from "../Settings.ts"
import * as AgentVolume from "./AgentVolume.ts"
import * as Disk from "./Disk.ts"
import * as Container from "./Container.ts"
import { Sandboxes } from "./Sandboxes.ts"

/** Looks at once, and then at each `RECONCILE_INTERVAL`. */
export const layer = Layer.scopedDiscard(
  Effect.gen(function* () {
    const interval = yield* settings.reconcileInterval.config
    const expiryMs = Duration.toMillis(yield* settings.nodeExpiry.config)
    const pauseMs = Duration.toMillis(interval) + 30_000
    let looked = -Infinity
    let steadySince = Infinity
    const round = Effect.suspend(() => {
      const now = performance.now()
      if (now - looked > pauseMs) steadySince = now
      looked = now
      return reconcile(now - steadySince > expiryMs)
    })
    yield* round.pipe(
      Effect.timeout("30 seconds"),
      Effect.catchAll((error) => {
        steadySince = Infinity
        looked = -Infinity
        return Effect.logWarning("leftovers could not be looked for", error.message)
      }),
      Effect.repeat(Schedule.spaced(interval)),
      Effect.forkScoped,
    )
  }),
)

/**
 * Looks once, and answers with the containers that it removed. After an outage of Postgres, or a pause of this
 * node, every node seems dead until its next heartbeat: only where all has been `steady` for as long as a dead
 * node is waited for, silence counts. A node that said that it ends is dead at once.
 */
export const reconcile = Effect.fn("Reconciler.reconcile")(function* (steady: boolean) {
  const sql = yield* SqlClient.SqlClient
  const sandboxes = yield* Sandboxes
  const { incarnation } = yield* NodeIdentity
  const grace = Duration.toMillis(yield* settings.reconcileGrace.config)
  const expiry = Duration.toSeconds(yield* settings.nodeExpiry.config)

  const containers = yield* Container.list
  const nodes = yield* sql<{ incarnation: string; ended: boolean }>`
    SELECT incarnation, ended_at IS NOT NULL AS ended FROM node
    WHERE ended_at IS NOT NULL OR seen_at > now() - make_interval(secs => ${expiry})`
  const bound = yield* sql<{ container: string }>`
    SELECT container FROM session WHERE incarnation = ${incarnation} AND container IS NOT NULL AND closed_at IS NULL`
  const known = new Map(nodes.map((row) => [row.incarnation, row.ended]))
  const bindings = new Set(bound.map((row) => row.container))

  const now = yield* Clock.currentTimeMillis
  const leftovers = containers.filter(
    (container) =>
      now - container.createdAt > grace &&
      (container.incarnation === incarnation
        ? now - (sandboxes.heldSince(container.id) ?? -Infinity) > grace && !bindings.has(container.id)
        : (known.get(container.incarnation) ?? steady)),
  )
  yield* Effect.forEach(leftovers, ({ id }) => sandboxes.remove(id), { concurrency: 4, discard: true })
  yield* Effect.catchAll(AgentVolume.removeOthers(otherVersions), (error) =>
    Effect.logWarning("volumes of other versions could not be removed", error.message),
  )
  yield* Disk.removeLeftovers(Duration.millis(grace))
  if (leftovers.length > 0) yield* Effect.logInfo(`removed ${leftovers.length} leftover containers`)
  return leftovers.map(({ id }) => id)
})

/** The age from which the agent of another version is not kept for nodes that may come back. */
const otherVersions = Duration.hours(1)
