/**
 * Ends what nobody says goodbye to, by the database's clock and on any node: connections whose lease is over
 * and the sessions made for them, unnamed sessions long unused, sessions in which nothing ever ran. What an
 * owner still holds for a closed session, its reconciler removes.
 */
import { SqlClient } from "@effect/sql"
import { Duration, Effect, Layer, Schedule } from "effect"
import { settings } from "../Settings.ts"

/** Looks once, and answers with the number of sessions that it closed. */
export const sweep = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const lease = Duration.toSeconds(yield* settings.connectionLease.config)
  const idle = Duration.toSeconds(yield* settings.idleTimeout.config)
  const unnamed = Duration.toSeconds(yield* settings.unnamedLifetime.config)
  const retention = Duration.toSeconds(yield* settings.operationRetention.config)
  const ago = (seconds: number) => sql`now() - make_interval(secs => ${seconds})`

  yield* sql`DELETE FROM connection WHERE seen_at < ${ago(lease)}`
  const closed = yield* sql`
    UPDATE session SET closed_at = now()
    WHERE closed_at IS NULL AND NOT EXISTS (SELECT FROM connection WHERE session_id = session.id) AND (
      (lifetime = 'connection' AND active_at < ${ago(lease)})
      OR (lifetime = 'unnamed' AND active_at < ${ago(unnamed)})
      OR (NOT used AND NOT lost AND head IS NULL AND active_at < ${ago(idle)})
    )
    RETURNING id`
  yield* sql`DELETE FROM checkpoint USING session WHERE session_id = session.id AND closed_at IS NOT NULL`
  yield* sql`DELETE FROM operation WHERE ended_at < ${ago(retention)}`
  yield* sql`DELETE FROM session WHERE closed_at < ${ago(retention)}`
  yield* sql`DELETE FROM node WHERE seen_at < now() - interval '1 day'`
  return closed.length
}).pipe(Effect.withSpan("Sweeper.sweep"))

/** Looks at once, and then every 10 seconds. */
export const layer = Layer.scopedDiscard(
  sweep.pipe(
    Effect.timeout("30 seconds"),
    Effect.catchAll((error) => Effect.logWarning("ended sessions could not be swept", error.message)),
    Effect.repeat(Schedule.spaced("10 seconds")),
    Effect.forkScoped,
  ),
)
