/** The rows of files that are kept beside a workspace. */
import { SqlClient } from "@effect/sql"
import { Duration, Effect } from "effect"
import type { ObjectId, Principal, SessionId } from "../domain/Identity.ts"
import { TooManyArtifacts, UrlUsed } from "../domain/ObjectError.ts"
import { SessionClosed, Unavailable } from "../domain/SessionError.ts"
import { settings } from "../Settings.ts"
import type { Cut } from "./Cutting.ts"
import type { PieceHash } from "./Manifest.ts"
import type { Place } from "./Packing.ts"
import * as PieceRows from "./PieceRows.ts"

/** What it is for: an artifact stays; the others are on their way, out or in. */
export type Kind = "artifact" | "archive" | "upload"

/** A file that is kept. Sizes in bytes, times in milliseconds since 1970 by the database's clock. */
export interface StoredObject {
  readonly id: ObjectId
  readonly principal: Principal
  readonly session: SessionId
  readonly kind: Kind
  readonly name: string
  readonly mime: string
  readonly size: number
  /** In hex. */
  readonly sha256: string
  readonly createdAt: number
  /** Null while its session is open. */
  readonly expiresAt: number | null
  readonly isSessionOpen: boolean
}

/** Whose it is, and what it is. */
export interface NewObject {
  readonly id: ObjectId
  readonly principal: Principal
  readonly session: SessionId
  /** Of the owner that keeps it; a stale one is refused. Undefined for what came by another node. */
  readonly epoch: number | undefined
  readonly kind: Kind
  readonly name: string
  readonly mime: string
}

export const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const { inserted, isOneOf, orKept } = PieceRows.make(sql)
  const retention = Duration.toSeconds(yield* settings.artifactRetention.config)
  const lifetime = Duration.toSeconds(yield* settings.urlLifetime.config)
  const perPrincipal = [yield* settings.maxArtifacts.config, yield* settings.maxArtifactBytes.config] as const
  const perSession = [
    yield* settings.sessionArtifacts.config,
    yield* settings.sessionArtifactBytes.config,
  ] as const
  const time = (value: string) => sql.literal(`extract(epoch FROM ${value})::float8 * 1000`)
  const ended = sql.literal("coalesce(object.ended_at, session.closed_at)")
  const columns = sql`object.id, object.principal, object.session_id AS session, kind, object.name, mime,
    size::float8 AS size, encode(sha256, 'hex') AS sha256, ${time("object.created_at")} AS "createdAt",
    ${time("coalesce(object.ended_at, session.closed_at)")} + ${retention * 1000} AS "expiresAt",
    coalesce(session.closed_at IS NULL AND session.id IS NOT NULL, false) AS "isSessionOpen"`
  const kept = sql`FROM object LEFT JOIN session ON session.id = object.session_id
    WHERE CASE kind WHEN 'artifact' THEN coalesce(${ended} + make_interval(secs => ${retention}) > now(), true)
      ELSE object.created_at > now() - make_interval(secs => ${lifetime}) END`

  /** Refuses what would pass a bound; `size` bytes more. */
  const bounded = Effect.fnUntraced(function* (
    principal: Principal,
    session: SessionId,
    kind: Kind,
    size: number,
  ) {
    const [sums] = yield* sql<Record<"number" | "bytes" | "sessionNumber" | "sessionBytes", number>>`
      SELECT count(*)::int AS number, coalesce(sum(size), 0)::float8 AS bytes,
        (count(*) FILTER (WHERE session_id = ${session}))::int AS "sessionNumber",
        coalesce(sum(size) FILTER (WHERE session_id = ${session}), 0)::float8 AS "sessionBytes"
      FROM object WHERE principal = ${principal}
        AND NOT (${kind} = 'archive' AND kind = 'archive' AND session_id = ${session})`
    const { bytes = 0, number = 0, sessionBytes = 0, sessionNumber = 0 } = sums ?? {}
    const checks = [
      [number + 1, perPrincipal[0], "yours", "MAX_ARTIFACTS"],
      [bytes + size, perPrincipal[1], "yours, in bytes,", "MAX_ARTIFACT_BYTES"],
      [sessionNumber + 1, perSession[0], "this session", "SESSION_ARTIFACTS"],
      [sessionBytes + size, perSession[1], "this session, in bytes,", "SESSION_ARTIFACT_BYTES"],
    ] as const
    for (const [value, limit, what, setting] of checks) {
      if (value > limit) return yield* new TooManyArtifacts({ what, limit, setting })
    }
  })

  return {
    bounded,

    /** Those of the hashes that need not be kept again. They stay a while from now on, whoever needs them. */
    known: (principal: Principal, hashes: ReadonlyArray<PieceHash>) =>
      Effect.map(
        sql<{ hash: PieceHash }>`
          WITH renewed AS (
            UPDATE piece SET condemned_at = now()
            WHERE principal = ${principal} AND ${isOneOf(hashes)} AND condemned_at IS NOT NULL
          )
          SELECT encode(hash, 'hex') AS hash FROM piece
          WHERE principal = ${principal} AND ${isOneOf(hashes)} AND NOT damaged`,
        (rows) => new Set(rows.map(({ hash }) => hash)),
      ),

    /** Keeps a file whose contents are in packs: with all that it needs, or not at all. */
    insert: Effect.fnUntraced(function* (
      { id, principal, session, epoch, kind, name, mime }: NewObject,
      { pieces, sha256, size }: Cut,
      places: ReadonlyArray<Place>,
    ) {
      // One at a time of a principal, so that none passes a bound beside another.
      yield* sql`SELECT pg_advisory_xact_lock(hashtextextended(${principal}, 1))`
      const open = yield* sql`
        SELECT 1 FROM session WHERE id = ${session} AND principal = ${principal} AND closed_at IS NULL
          AND epoch = coalesce(${epoch ?? null}, epoch) FOR SHARE`
      if (open.length === 0) return yield* new SessionClosed({ session })
      yield* bounded(principal, session, kind, size)
      if (kind === "archive")
        yield* sql`DELETE FROM object WHERE session_id = ${session} AND kind = 'archive'`
      const used = new Set(pieces)
      yield* sql`
        UPDATE piece SET condemned_at = NULL
        WHERE principal = ${principal} AND ${isOneOf(used)} AND condemned_at IS NOT NULL`
      yield* sql`${inserted(principal, places)} ${orKept}`
      const there = yield* sql`
        SELECT 1 FROM piece WHERE principal = ${principal} AND ${isOneOf(used)} AND NOT damaged FOR SHARE`
      // One that was known has been removed since.
      if (there.length < used.size) return yield* new Unavailable({ what: "Postgres" })
      yield* sql`
        INSERT INTO piece_use (session_id, base, principal, hash)
        SELECT ${id}, 0, ${principal}, decode(hash, 'hex') FROM unnest(${[...used]}::text[]) AS hash`
      const made = yield* sql`
        INSERT INTO object (id, principal, session_id, kind, name, mime, size, sha256, pieces)
        VALUES (${id}, ${principal}, ${session}, ${kind}, ${name}, ${mime}, ${size}, decode(${sha256}, 'hex'),
          decode(${pieces.join("")}, 'hex'))
        ON CONFLICT DO NOTHING RETURNING id`
      if (made.length === 0) return yield* new UrlUsed({ object: id })
    }, sql.withTransaction),

    /** Removes the rows of those packs that no piece is in; gives which those were. */
    forget: (packs: ReadonlyArray<string>) =>
      Effect.map(
        sql<{ id: string }>`
          DELETE FROM pack WHERE id = ANY(${packs}::text[]) AND NOT EXISTS (SELECT FROM piece WHERE piece.pack = pack.id)
          RETURNING id`,
        (rows) => rows.map(({ id }) => id),
      ),

    find: (id: string) =>
      Effect.map(sql<StoredObject>`SELECT ${columns} ${kept} AND object.id = ${id}`, ([row]) => row),

    /** The newest of a principal's artifacts. */
    list: (principal: Principal, limit: number) =>
      sql<StoredObject>`
        SELECT ${columns} ${kept} AND object.principal = ${principal} AND kind = 'artifact'
        ORDER BY object.created_at DESC, object.id LIMIT ${limit}`,

    remove: (principal: Principal, id: string) =>
      Effect.map(
        sql`DELETE FROM object WHERE id = ${id} AND principal = ${principal} RETURNING 1`,
        (rows) => rows.length > 0,
      ),

    /** Whose a session is that is open. */
    principalOf: (session: SessionId) =>
      Effect.map(
        sql<{
          principal: Principal
        }>`SELECT principal FROM session WHERE id = ${session} AND closed_at IS NULL`,
        ([row]) => row?.principal,
      ),

    /** Whether an operation of that id was begun. */
    isOperation: (session: SessionId, id: string) =>
      Effect.map(
        sql`SELECT 1 FROM operation WHERE session_id = ${session} AND id = ${id}`,
        (rows) => rows.length > 0,
      ),

    /** The hashes of a file's pieces, from one on. */
    pieces: (id: ObjectId, first: number, count: number) =>
      Effect.map(
        sql<{ pieces: Buffer }>`
          SELECT substring(pieces FROM ${first * 32 + 1} FOR ${count * 32}) AS pieces FROM object WHERE id = ${id}`,
        ([row]) => {
          const bytes = row?.pieces ?? Buffer.alloc(0)
          return Array.from({ length: bytes.length / 32 }, (_, index) =>
            bytes.toString("hex", 32 * index, 32 * index + 32),
          ) as unknown as ReadonlyArray<PieceHash>
        },
      ),

    places: (principal: Principal, hashes: ReadonlyArray<PieceHash>) =>
      sql<Place>`
        SELECT encode(hash, 'hex') AS hash, pack, at, stored, size, deflated FROM piece
        WHERE principal = ${principal} AND ${isOneOf(hashes)}`,
  }
})
