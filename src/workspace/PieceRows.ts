/** What statements on the rows of pieces have in common. */
import type { SqlClient } from "@effect/sql"
import type { Principal } from "../domain/Identity.ts"
import type { PieceHash } from "./Manifest.ts"
import type { Place } from "./Packing.ts"

export const make = (sql: SqlClient.SqlClient) => {
  /** What is known by now is wanted again, and where it was damaged, it is whole again. */
  const anew = (column: string) =>
    sql`${sql(column)} = CASE WHEN piece.damaged THEN excluded.${sql(column)} ELSE piece.${sql(column)} END`
  return {
    /** An array, by which an index is asked: of a table that has just grown, a join would read all. */
    isOneOf: (hashes: Iterable<PieceHash>) =>
      sql`hash = ANY(ARRAY(SELECT decode(given, 'hex') FROM unnest(${[...hashes]}::text[]) AS given))`,
    inserted: (principal: Principal, places: ReadonlyArray<Place>) => sql`
      INSERT INTO piece (principal, hash, pack, at, stored, size, deflated)
      SELECT ${principal}, decode(hash, 'hex'), pack, at, stored, size, deflated
      FROM unnest(
        ${places.map(({ hash }) => hash)}::text[], ${places.map(({ pack }) => pack)}::text[],
        ${places.map(({ at }) => at)}::int[], ${places.map(({ stored }) => stored)}::int[],
        ${places.map(({ size }) => size)}::int[], ${places.map(({ deflated }) => deflated)}::bool[]
      ) AS new (hash, pack, at, stored, size, deflated)`,
    orKept: sql`
      ON CONFLICT (principal, hash) DO UPDATE SET condemned_at = NULL, damaged = false,
        ${anew("pack")}, ${anew("at")}, ${anew("stored")}, ${anew("size")}, ${anew("deflated")}`,
  }
}
