/**
 * Removes checkpoints and artifacts that are kept no longer, and what none names any more, on any node, one at a time.
 * A piece is condemned first, and deleted a while later where nobody wanted it again: a save that names it meanwhile
 * takes it back, and its commit looks whether it is there. So are packs that are empty, and those of which little is
 * wanted are emptied first. Times are the database's.
 */
import { SqlClient } from "@effect/sql"
import { Duration, Effect, Layer, Option, Schedule } from "effect"
import { settings } from "../Settings.ts"
import * as Compaction from "./Compaction.ts"
import { PackStore } from "./PackStore.ts"

/** Rows that are looked at in one step. */
const batch = 5000

/** No shard lock and no other use has this number. */
const lock = 7232

export interface Collected {
  readonly pieces: number
  readonly packs: number
  /** Those that were moved out of packs of which little is wanted. */
  readonly moved: number
  /** There is nothing more to remove now. */
  readonly isAll: boolean
}

/** Bases whose pieces are let go in one step: each may name very many. */
const bases = 16

/** Looks once; none where another node does. */
export const collect = Effect.gen(function* () {
  const found = yield* condemn
  if (Option.isNone(found)) return Option.none<Collected>()
  const { packs, pieces, sparse, isAll } = found.value
  // Their rows are gone for good by now: whoever still meant to refer to one is refused.
  yield* (yield* PackStore).remove(packs)
  const moved = yield* Compaction.move(sparse)
  return Option.some<Collected>({ pieces, packs: packs.length, moved, isAll })
})

const condemn = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const grace = Duration.toSeconds(yield* settings.garbageGrace.config)
  const history = Duration.toSeconds(yield* settings.checkpointHistory.config)
  const retention = Duration.toSeconds(yield* settings.artifactRetention.config)
  const lifetime = Duration.toSeconds(yield* settings.urlLifetime.config)
  const old = (time: string) => sql`${sql(time)} < now() - make_interval(secs => ${grace})`

  const alone = yield* sql<{ locked: boolean }>`SELECT pg_try_advisory_xact_lock(${lock}) AS locked`
  if (alone[0]?.locked !== true) return Option.none<never>()

  // From when on nothing new stood on a base, the next one says.
  yield* sql`
    DELETE FROM checkpoint WHERE (session_id, base) IN (
      SELECT old.session_id, old.base FROM checkpoint AS old
      JOIN checkpoint AS next ON next.session_id = old.session_id AND next.number = next.base
      WHERE old.number = old.base AND next.base > old.base
        AND next.created_at < now() - make_interval(secs => ${history})
      LIMIT ${bases}
    )`
  // The pieces of such a file are let go as those of a base are.
  yield* sql`
    UPDATE object SET ended_at = coalesce((SELECT closed_at FROM session WHERE id = session_id), now())
    WHERE ended_at IS NULL
      AND NOT EXISTS (SELECT FROM session WHERE session.id = object.session_id AND closed_at IS NULL)`
  yield* sql`
    DELETE FROM object WHERE id IN (
      SELECT id FROM object WHERE CASE kind
        WHEN 'artifact' THEN ended_at < now() - make_interval(secs => ${retention})
        ELSE ended_at IS NOT NULL OR created_at < now() - make_interval(secs => ${lifetime}) END
      LIMIT ${batch}
    )`
  yield* sql`
    WITH gone AS (
      DELETE FROM base_gone WHERE ctid IN (SELECT ctid FROM base_gone LIMIT ${bases}) RETURNING session_id, base
    ), unused AS (
      DELETE FROM piece_use USING gone
      WHERE piece_use.session_id = gone.session_id AND piece_use.base = gone.base
      RETURNING piece_use.principal, piece_use.hash
    )
    UPDATE piece SET condemned_at = now() FROM unused
    WHERE piece.principal = unused.principal AND piece.hash = unused.hash AND condemned_at IS NULL`
  const inUse = sql`EXISTS (
    SELECT FROM piece_use WHERE piece_use.principal = piece.principal AND piece_use.hash = piece.hash)`
  yield* sql`UPDATE piece SET condemned_at = NULL WHERE condemned_at IS NOT NULL AND ${inUse}`
  const pieces = yield* sql`
    DELETE FROM piece WHERE (principal, hash) IN (
      SELECT principal, hash FROM piece WHERE ${old("condemned_at")} LIMIT ${batch} FOR UPDATE SKIP LOCKED
    ) AND condemned_at IS NOT NULL AND NOT ${inUse} RETURNING 1`
  const isEmpty = sql`NOT EXISTS (SELECT FROM piece WHERE piece.pack = pack.id)`
  // Whoever wrote one long ago has named it after all.
  yield* sql`
    UPDATE pack SET condemned_at = NULL, checked = false WHERE condemned_at IS NOT NULL AND NOT (${isEmpty})`
  const packs = yield* sql<{ id: string }>`
    DELETE FROM pack WHERE id IN (
      SELECT id FROM pack WHERE ${old("condemned_at")} AND ${isEmpty} LIMIT ${batch}
    ) RETURNING id`
  const sparse = yield* Compaction.claim(grace)
  const left = yield* sql`SELECT 1 FROM base_gone LIMIT 1`
  const isAll =
    left.length === 0 &&
    pieces.length < batch &&
    packs.length < batch &&
    sparse.length < Compaction.packsAtOnce
  return Option.some({ pieces: pieces.length, packs: packs.map(({ id }) => id), sparse, isAll })
}).pipe((effect) => Effect.flatMap(SqlClient.SqlClient, (sql) => sql.withTransaction(effect)))

/** Looks every minute, and at once where there is more. */
export const layer = Layer.scopedDiscard(
  collect.pipe(
    Effect.repeat({ until: (found) => Option.isNone(found) || found.value.isAll }),
    Effect.timeout("5 minutes"),
    Effect.catchAll((error) => Effect.logWarning("what no checkpoint names was not removed", error.message)),
    Effect.repeat(Schedule.spaced("1 minute")),
    Effect.forkScoped,
  ),
)
