/**
 * The rows of checkpoints, and of the pieces that they name. A piece is kept once for a principal, and stays as long as
 * a checkpoint names it. `Garbage.ts` removes the others.
 */
import { SqlClient, type SqlError, type Statement } from "@effect/sql"
import { Context, Effect, Layer, Option, Schema } from "effect"
import { answering } from "../database/Database.ts"
import type { Principal, SessionId } from "../domain/Identity.ts"
import type { Unavailable } from "../domain/SessionError.ts"
import { type Change, decodeChanges, type PieceHash } from "./Manifest.ts"
import type { Pack, Place } from "./Packing.ts"
import * as PieceRows from "./PieceRows.ts"

/** A checkpoint whose contents are kept, and which becomes the session's newest as it is committed. */
export interface Prepared {
  /** Names it, so that a second commit of it finds the first. */
  readonly token: string
  readonly principal: Principal
  /** Counts the session's checkpoints, from 1. */
  readonly number: number
  /** The checkpoint that its changes begin at: itself where it names all files. */
  readonly base: number
  /** Its changes, encoded. */
  readonly changes: Buffer
  readonly pieces: ReadonlySet<PieceHash>
  /** Of those pieces that were not known when they were kept. */
  readonly places: ReadonlyArray<Place>
  /** A small pack that is kept with the checkpoint's own rows. */
  readonly pack: Pack | undefined
}

/** It stands on another checkpoint than the newest, or names a piece that is gone: it is to be made again. */
export class CheckpointOutdated extends Schema.TaggedError<CheckpointOutdated>()("CheckpointOutdated", {}) {
  override get message() {
    return "It was overtaken by another."
  }
}

/** Lists of changes one after the other, the first of all files. */
export interface Chain {
  readonly base: number
  readonly lists: ReadonlyArray<ReadonlyArray<Change>>
}

export class CheckpointRows extends Context.Tag("codegen-mcp/workspace/CheckpointRows")<
  CheckpointRows,
  {
    /** Those of the hashes that are kept for the principal. */
    readonly known: (
      principal: Principal,
      hashes: ReadonlyArray<PieceHash>,
    ) => Effect.Effect<ReadonlySet<PieceHash>, Unavailable>
    /**
     * Makes a checkpoint the session's newest, where this is its owner, and does what is `alongside`: in one statement,
     * and nothing at all where anything is in its way. Says whether it was done.
     */
    readonly commit: (
      session: SessionId,
      epoch: number,
      checkpoint: Prepared,
      alongside: Statement.Fragment | undefined,
    ) => Effect.Effect<boolean, SqlError.SqlError>
    /**
     * Takes out of the way of a commit what can be: pieces that are condemned are wanted again. Says whether that commit
     * was done already. To be run in one transaction with the next attempt.
     */
    readonly reclaim: (session: SessionId, checkpoint: Prepared) => Effect.Effect<boolean, SqlError.SqlError>
    /** The newest checkpoint of a session; zeros where there is none. */
    readonly newest: (
      session: SessionId,
    ) => Effect.Effect<{ readonly number: number; readonly base: number }, Unavailable>
    /** The bases of a session's checkpoints up to a number, with the newest that stands on each; the newest base first. */
    readonly bases: (
      session: SessionId,
      upTo: number,
    ) => Effect.Effect<ReadonlyArray<{ readonly base: number; readonly newest: number }>, Unavailable>
    /** Has the next save that comes upon the contents of these pieces keep them anew. */
    readonly markDamaged: (
      principal: Principal,
      hashes: ReadonlyArray<PieceHash>,
    ) => Effect.Effect<void, Unavailable>
    /** What leads to a checkpoint; undefined where it is not there, or cannot be read. */
    readonly chain: (session: SessionId, number: number) => Effect.Effect<Chain | undefined, Unavailable>
    /** Where the principal's pieces are kept, as far as they are. */
    readonly places: (
      principal: Principal,
      hashes: ReadonlyArray<PieceHash>,
    ) => Effect.Effect<ReadonlyArray<Place>, Unavailable>
  }
>() {
  static readonly layer = Layer.effect(
    CheckpointRows,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const { inserted, isOneOf, orKept } = PieceRows.make(sql)

      return {
        known: (principal, hashes) =>
          Effect.map(
            answering(sql<{ hash: PieceHash }>`
              SELECT encode(hash, 'hex') AS hash FROM piece
              WHERE principal = ${principal} AND ${isOneOf(hashes)} AND NOT damaged`),
            (rows) => new Set(rows.map(({ hash }) => hash)),
          ),

        reclaim: Effect.fnUntraced(function* (session, { token, principal, pieces }) {
          yield* sql`
            UPDATE piece SET condemned_at = NULL
            WHERE principal = ${principal} AND ${isOneOf(pieces)} AND condemned_at IS NOT NULL`
          const done = yield* sql`SELECT 1 FROM checkpoint WHERE session_id = ${session} AND token = ${token}`
          return done.length > 0
        }),

        commit: Effect.fnUntraced(function* (session, epoch, checkpoint, alongside) {
          const { token, principal, number, base, changes, pieces, places, pack } = checkpoint
          const own = new Set(places.map(({ hash }) => hash))
          const others = [...pieces].filter((hash) => !own.has(hash))
          const isFree = sql`(SELECT done FROM free)`
          const rows = yield* sql`
            WITH owned AS (
              SELECT id FROM session WHERE id = ${session} AND epoch = ${epoch} AND closed_at IS NULL FOR UPDATE
            ), kept AS (
              SELECT hash FROM piece
              WHERE principal = ${principal} AND condemned_at IS NULL AND NOT damaged AND ${isOneOf(others)}
              ORDER BY hash FOR SHARE
            ), free AS (
              SELECT EXISTS (SELECT FROM owned) AND (SELECT count(*) FROM kept) = ${others.length} AND coalesce(
                (SELECT max(number) FROM checkpoint WHERE session_id = ${session}), 0) = ${number - 1} AS done
            ), ${
              pack === undefined
                ? sql``
                : sql`packed AS (
                    INSERT INTO pack (id, size, data)
                    SELECT ${pack.id}, ${pack.data.length}, ${pack.data} WHERE ${isFree}
                  ),`
            } made AS (
              ${inserted(principal, places)} WHERE ${isFree} ${orKept}
            ), named AS (
              INSERT INTO piece_use (session_id, base, principal, hash)
              SELECT ${session}, ${base}, ${principal}, decode(hash, 'hex')
              FROM unnest(${[...pieces]}::text[]) AS hash WHERE ${isFree}
              ON CONFLICT DO NOTHING
            ), noted AS (
              INSERT INTO checkpoint (session_id, number, base, token, changes)
              SELECT ${session}, ${number}, ${base}, ${token}, ${changes} WHERE ${isFree}
            ), ${
              base < number
                ? sql``
                : // The one before stays, with all that stands on it.
                  sql`dropped AS (
                    DELETE FROM checkpoint WHERE session_id = ${session} AND ${isFree} AND base <
                      (SELECT base FROM checkpoint WHERE session_id = ${session} AND number = ${number - 1})
                  ),`
            } headed AS (
              UPDATE session SET head = ${number}, unsaved = false WHERE id = ${session} AND ${isFree}
            ) ${alongside === undefined ? sql`` : sql`, beside AS (${alongside} AND ${isFree})`}
            SELECT 1 FROM free WHERE done`
          return rows.length > 0
        }),

        newest: (session) =>
          Effect.map(
            answering(sql<{ number: number; base: number }>`
              SELECT number, base FROM checkpoint WHERE session_id = ${session} ORDER BY number DESC LIMIT 1`),
            ([row]) => row ?? { number: 0, base: 0 },
          ),

        bases: (session, upTo) =>
          answering(sql<{ base: number; newest: number }>`
            SELECT base, max(number) AS newest FROM checkpoint
            WHERE session_id = ${session} AND number <= ${upTo} GROUP BY base ORDER BY base DESC`),

        markDamaged: (principal, hashes) =>
          hashes.length === 0
            ? Effect.void
            : Effect.asVoid(
                answering(sql`
                  UPDATE piece SET damaged = true WHERE principal = ${principal} AND ${isOneOf(hashes)}`),
              ),

        chain: Effect.fn("CheckpointRows.chain")(function* (session, number) {
          const rows = yield* answering(sql<{ number: number; base: number; changes: Buffer }>`
            SELECT number, base, changes FROM checkpoint
            WHERE session_id = ${session} AND number <= ${number}
              AND base = (SELECT base FROM checkpoint WHERE session_id = ${session} AND number = ${number})
            ORDER BY number`)
          const base = rows[0]?.base
          if (base === undefined || rows[0]?.number !== base || rows.at(-1)?.number !== number)
            return undefined
          const lists = yield* Effect.option(
            Effect.forEach(rows, ({ changes }) =>
              Effect.flatten(Effect.tryPromise(() => decodeChanges(changes))),
            ),
          )
          return Option.isNone(lists) ? undefined : { base, lists: lists.value }
        }),

        places: (principal, hashes) =>
          answering(sql<Place>`
            SELECT encode(hash, 'hex') AS hash, pack, at, stored, size, deflated FROM piece
            WHERE principal = ${principal} AND ${isOneOf(hashes)}`),
      }
    }),
  )
}
