/**
 * Moves what is wanted out of packs of which little is, so that these can go. Who saves names pieces, and never notices
 * where they are; who restores may have read a place before, hence a pack that became empty stays for a while. A move
 * that comes too late, or of a node that was frozen over it, changes nothing: it holds only for pieces that are still
 * where it read them, and only while its own new pack is there.
 */
import { SqlClient } from "@effect/sql"
import { Effect } from "effect"
import { type Principal, randomId } from "../domain/Identity.ts"
import { PackStore, packSize } from "./PackStore.ts"
import type { Place } from "./Packing.ts"
import { contentsOf } from "./Restoring.ts"

/** Packs that are read in one round. */
export const packsAtOnce = 8

/** Rows that are looked at in one round. */
const batch = 1000

/** Of a pack's bytes, how much has to be wanted for it to stay. */
const worthKeeping = 0.5

/**
 * Looks at packs from which something has gone, once they are older than `grace`, in seconds: condemns those that are
 * empty, and claims some of those of which little is wanted, which nobody else claims for as long. To be run by one node
 * at a time.
 */
export const claim = Effect.fnUntraced(function* (grace: number) {
  const sql = yield* SqlClient.SqlClient
  const old = (time: string) => sql`${sql(time)} < now() - make_interval(secs => ${grace})`
  const claimed = yield* sql<{ id: string }>`
    WITH looked AS MATERIALIZED (
      SELECT id, size FROM pack
      WHERE NOT checked AND condemned_at IS NULL AND ${old("created_at")} AND (claimed_at IS NULL OR ${old("claimed_at")})
      ORDER BY created_at LIMIT ${batch}
    ), held AS MATERIALIZED (
      SELECT looked.id, looked.size, count(piece.pack) AS pieces,
        coalesce(sum(piece.stored) FILTER (WHERE piece.condemned_at IS NULL AND NOT piece.damaged), 0) AS wanted
      FROM looked LEFT JOIN piece ON piece.pack = looked.id GROUP BY looked.id, looked.size
    ), sparse AS MATERIALIZED (
      SELECT id FROM held WHERE wanted > 0 AND wanted < size * ${worthKeeping}::float8
    ), chosen AS MATERIALIZED (
      SELECT id FROM sparse LIMIT ${packsAtOnce}
    ), empty AS (
      UPDATE pack SET condemned_at = now() WHERE id IN (SELECT id FROM held WHERE pieces = 0)
    ), full_enough AS (
      UPDATE pack SET checked = true
      WHERE id IN (SELECT id FROM held WHERE pieces > 0) AND id NOT IN (SELECT id FROM sparse)
    )
    UPDATE pack SET claimed_at = now() WHERE id IN (SELECT id FROM chosen) RETURNING id`
  return claimed.map(({ id }) => id)
})

interface Piece extends Place {
  readonly principal: Principal
  readonly data: Buffer
}

/** Moves what is wanted out of packs; gives how many pieces those were. */
export const move = Effect.fn("Compaction.move")(function* (packs: ReadonlyArray<string>) {
  const sql = yield* SqlClient.SqlClient
  const store = yield* PackStore
  let moved = 0
  let waiting: Array<Piece> = []
  let bytes = 0

  const flush = Effect.gen(function* () {
    const id = yield* randomId("p_")
    yield* store.put(id, Buffer.concat(waiting.map(({ data }) => data)))
    moved += yield* repoint(id, waiting)
    waiting = []
    bytes = 0
  })

  for (const pack of packs) {
    const places = yield* sql<Omit<Piece, "data">>`
      SELECT principal, encode(hash, 'hex') AS hash, pack, at, stored, size, deflated FROM piece
      WHERE pack = ${pack} AND condemned_at IS NULL AND NOT damaged`
    const data = places.length === 0 ? undefined : yield* store.get(pack)
    for (const place of places) {
      const contents = data === undefined ? undefined : contentsOf(data, place)
      // It stays where it is, for a restore to find out about.
      if (data === undefined || contents === undefined) continue
      waiting.push({ ...place, data: data.subarray(place.at, place.at + place.stored) })
      bytes += place.stored
      if (bytes >= packSize) yield* flush
    }
  }
  if (waiting.length > 0) yield* flush
  return moved
})

/** In one step, of those pieces that are where they were and that nobody is committing right now. */
const repoint = Effect.fnUntraced(function* (pack: string, pieces: ReadonlyArray<Piece>) {
  const sql = yield* SqlClient.SqlClient
  let at = 0
  const begins = pieces.map(({ stored }) => (at += stored) - stored)
  const rows = yield* sql`
    WITH moved AS (
      SELECT principal, decode(hash, 'hex') AS hash, was, was_at, new_at FROM unnest(
        ${pieces.map(({ principal }) => principal)}::text[], ${pieces.map(({ hash }) => hash)}::text[],
        ${pieces.map(({ pack }) => pack)}::text[], ${pieces.map(({ at }) => at)}::int[], ${begins}::int[]
      ) AS new (principal, hash, was, was_at, new_at)
    ), free AS MATERIALIZED (
      SELECT piece.principal, piece.hash, new_at FROM piece JOIN moved USING (principal, hash)
      WHERE piece.pack = was AND piece.at = was_at FOR UPDATE OF piece SKIP LOCKED
    )
    UPDATE piece SET pack = ${pack}, at = new_at FROM free
    WHERE piece.principal = free.principal AND piece.hash = free.hash RETURNING 1`
  return rows.length
})
