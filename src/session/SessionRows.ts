/**
 * The rows of sessions and operations, as their owner writes them. Each write names the epoch that the
 * owner claimed; once another has claimed the session, all of them are refused with `SessionMoved`.
 */
import { SqlClient, type Statement } from "@effect/sql"
import { Context, Effect, Layer, Option } from "effect"
import { answering } from "../database/Database.ts"
import type { Origin } from "../domain/Event.ts"
import type { ConnectionId, ContainerId, OperationId, Principal, SessionId } from "../domain/Identity.ts"
import type { NetworkPolicy } from "../domain/Network.ts"
import { NodeIdentity } from "../domain/NodeIdentity.ts"
import type { Outcome } from "../domain/Operation.ts"
import type { SessionName } from "../domain/Session.ts"
import { SessionClosed, SessionMoved, SessionNotFound, type Unavailable } from "../domain/SessionError.ts"
import { CheckpointOutdated, CheckpointRows, type Prepared } from "../workspace/CheckpointRows.ts"
import { type Begun, decodeOrigin, decodeOutcome, type Ended, type OutcomeRow } from "./StoredOutcome.ts"

export interface Claim {
  readonly epoch: number
  readonly principal: Principal
  readonly name: SessionName | null
  readonly template: string
  /** The newest checkpoint of the files, if any. */
  readonly head: number | null
  /** Files were in a sandbox that is gone, and saved nowhere, and no caller was told yet. */
  readonly lost: boolean
  /** Nobody owned the session since this node claimed it last: what it holds is still the session's. */
  readonly continued: boolean
  /** What it may reach outside, where its caller has chosen. */
  readonly network: NetworkPolicy | null
}

/** The session is not this owner's any more, or nobody can say. */
type Refused = SessionMoved | SessionClosed | Unavailable

export class SessionRows extends Context.Tag("codegen-mcp/session/SessionRows")<
  SessionRows,
  {
    /**
     * Makes this incarnation the owner. `held` is what this node holds from its last claim: where nobody owned the
     * session in between, sandbox and running operations go on. Otherwise the session has no sandbox any more, and
     * its running operations end as interrupted.
     */
    readonly claim: (
      id: SessionId,
      held: { readonly epoch: number; readonly container: ContainerId | undefined },
      running: ReadonlyArray<OperationId>,
    ) => Effect.Effect<Claim, SessionNotFound | SessionClosed | Unavailable>
    /** Binds a sandbox to the session, before anything runs in it. `undefined`: it has none, and nothing to lose. */
    readonly bind: (
      id: SessionId,
      epoch: number,
      container: ContainerId | undefined,
    ) => Effect.Effect<void, Refused>
    /** Notes that the caller was told of the lost sandbox. */
    readonly acknowledgeLoss: (id: SessionId, epoch: number) => Effect.Effect<void, Refused>
    /** Records an operation as running, unless its id is known. `unsaved`: what it changes is saved nowhere. */
    readonly begin: (
      id: SessionId,
      epoch: number,
      operation: {
        readonly unsaved?: boolean
        readonly id: OperationId
        readonly tool: string
        readonly inputHash: string
        readonly origin: Origin | undefined
      },
    ) => Effect.Effect<Begun, Refused>
    /** Forgets an operation in which nothing was run, so that its id may be used again. */
    readonly abandon: (id: SessionId, epoch: number, operation: OperationId) => Effect.Effect<void, Refused>
    /** The resources that a connection has subscribed to. */
    readonly subscriptionsOf: (connection: ConnectionId) => Effect.Effect<ReadonlyArray<string>, Unavailable>
    /** The other session in which a connection with this home began an operation, or runs one for that request. */
    readonly elsewhere: (
      home: SessionId,
      connection: ConnectionId,
      what: { readonly operation: OperationId } | Pick<Origin, "request">,
    ) => Effect.Effect<SessionId | undefined, Unavailable>
    /** How an operation ended, and for which request it ran; undefined while it runs, and where there is none. */
    readonly outcome: (id: SessionId, operation: OperationId) => Effect.Effect<Ended | undefined, Unavailable>
    /** Records how an operation ended. `unsaved`: what it changed is saved nowhere. */
    readonly finish: (
      id: SessionId,
      epoch: number,
      operation: OperationId,
      outcome: Outcome,
      unsaved?: boolean,
    ) => Effect.Effect<void, Refused>
    /** All that was ever acknowledged is saved. */
    readonly settle: (id: SessionId, epoch: number) => Effect.Effect<void, Refused>
    /** Makes a checkpoint the session's newest, and records with it how an operation ended, if one did: both or neither. */
    readonly commit: (
      id: SessionId,
      epoch: number,
      checkpoint: Prepared,
      ended?: { readonly operation: OperationId; readonly outcome: Outcome },
    ) => Effect.Effect<void, CheckpointOutdated | Refused>
  }
>() {
  static readonly layer = Layer.effect(
    SessionRows,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const { node, incarnation } = yield* NodeIdentity
      const checkpoints = yield* CheckpointRows

      const refusal = Effect.fnUntraced(function* (id: SessionId) {
        const closed = yield* sql`SELECT 1 FROM session WHERE id = ${id} AND closed_at IS NULL`
        return yield* closed.length > 0 ? new SessionMoved() : new SessionClosed({ session: id })
      })
      const end = (outcome: Outcome) => sql`
        UPDATE operation SET state = ${outcome.state}, outcome = ${JSON.stringify(outcome)}::json, ended_at = now()`
      const refused = (id: SessionId) => (rows: ReadonlyArray<unknown>) =>
        rows.length === 0 ? refusal(id) : Effect.void
      const written = (id: SessionId, write: Statement.Statement<object>) =>
        answering(Effect.flatMap(write, refused(id)))

      return {
        claim: Effect.fn("SessionRows.claim")(
          function* (id, held, running) {
            // An earlier claim of this node may have been made without an answer: then the epoch is another,
            // but the binding is still ours. Another owner's claim would have ended it.
            const claimed = yield* sql<Claim>`
              WITH before AS (
                SELECT id, epoch = ${held.epoch} OR coalesce(
                  incarnation = ${incarnation} AND container = ${held.container ?? null}, false
                ) AS continued
                FROM session WHERE id = ${id} AND closed_at IS NULL FOR UPDATE
              )
              UPDATE session SET
                epoch = epoch + 1, node = ${node}, incarnation = ${incarnation},
                container = CASE WHEN continued THEN container END,
                lost = lost OR (unsaved AND container IS NOT NULL AND NOT continued),
                unsaved = unsaved AND continued,
                used = used AND (continued OR head IS NOT NULL)
              FROM before WHERE session.id = before.id
              RETURNING epoch, principal, name, template, head, lost, continued, network`
            const claim = claimed[0]
            if (claim === undefined) {
              const known = yield* sql`SELECT 1 FROM session WHERE id = ${id}`
              return yield* known.length > 0
                ? new SessionClosed({ session: id })
                : new SessionNotFound({ session: id })
            }
            const goOn = claim.continued ? [...running] : []
            yield* sql`
              UPDATE operation SET state = 'interrupted', ended_at = now(), checkpoint = ${claim.head}
              WHERE session_id = ${id} AND state = 'running' AND NOT (id = ANY(${goOn}))`
            return claim
          },
          sql.withTransaction,
          answering,
        ),

        bind: (id, epoch, container) =>
          written(
            id,
            sql`
              UPDATE session SET container = ${container ?? null},
                used = used AND (head IS NOT NULL OR ${container !== undefined}),
                unsaved = unsaved AND ${container !== undefined}
              WHERE id = ${id} AND epoch = ${epoch} AND closed_at IS NULL RETURNING 1`,
          ),

        acknowledgeLoss: (id, epoch) =>
          written(
            id,
            sql`
              UPDATE session SET lost = false
              WHERE id = ${id} AND epoch = ${epoch} AND closed_at IS NULL RETURNING 1`,
          ),

        // A session that is busy is not written anew for each call: all its indexes would be, and one call would wait
        // for the commit of another.
        begin: Effect.fnUntraced(function* (id, epoch, { unsaved = false, ...operation }) {
          const rows = yield* sql<{ owned: boolean; begun: boolean }>`
            WITH touched AS (
              UPDATE session SET used = true, unsaved = unsaved OR ${unsaved}, active_at = now()
              WHERE id = ${id} AND epoch = ${epoch} AND closed_at IS NULL
                AND NOT (used AND (unsaved OR NOT ${unsaved}) AND active_at > now() - interval '5 seconds')
              RETURNING id
            ), kept AS (
              SELECT id FROM session
              WHERE id = ${id} AND epoch = ${epoch} AND closed_at IS NULL AND NOT EXISTS (SELECT FROM touched)
              FOR SHARE
            ), owned AS (
              SELECT id FROM touched UNION ALL SELECT id FROM kept
            ), begun AS (
              INSERT INTO operation (session_id, id, tool, input_hash, state, origin)
              SELECT id, ${operation.id}, ${operation.tool}, ${operation.inputHash}, 'running',
                ${operation.origin === undefined ? null : JSON.stringify(operation.origin)}::json
              FROM owned
              ON CONFLICT DO NOTHING RETURNING id
            )
            SELECT EXISTS (SELECT FROM owned) AS owned, EXISTS (SELECT FROM begun) AS begun`
          if (rows[0]?.owned !== true) return yield* refusal(id)
          if (rows[0].begun) return { _tag: "Begun" as const }
          const known = yield* sql<OutcomeRow & { inputHash: string; state: string }>`
            SELECT input_hash AS "inputHash", state, outcome, checkpoint FROM operation
            WHERE session_id = ${id} AND id = ${operation.id}`
          const row = known[0] ?? { inputHash: "", state: "running", outcome: null, checkpoint: null }
          const { inputHash, state } = row
          if (state === "running") return { _tag: "Running" as const, inputHash }
          return { _tag: "Ended" as const, inputHash, outcome: decodeOutcome(row, operation.id) }
        }, answering),

        abandon: (id, epoch, operation) =>
          written(
            id,
            sql`
              DELETE FROM operation USING session
              WHERE session.id = ${id} AND session.epoch = ${epoch}
                AND session_id = session.id AND operation.id = ${operation} RETURNING 1`,
          ),

        subscriptionsOf: (connection) =>
          Effect.map(
            answering(
              sql<{
                subscriptions: Array<string>
              }>`SELECT subscriptions FROM connection WHERE id = ${connection}`,
            ),
            ([row]) => row?.subscriptions ?? [],
          ),

        elsewhere: Effect.fn("SessionRows.elsewhere")(function* (home, connection, what) {
          const rows = yield* sql<{ session: SessionId }>`
            SELECT operation.session_id AS session FROM connection
            JOIN session ON session.principal = connection.principal AND session.closed_at IS NULL
            JOIN operation ON operation.session_id = session.id
            WHERE connection.id = ${connection} AND connection.session_id = ${home} AND session.id <> ${home}
              AND operation.origin->>'connection' = ${connection} AND ${
                "operation" in what
                  ? sql`operation.id = ${what.operation}`
                  : sql`operation.state = 'running' AND (operation.origin->'request')::text = ${JSON.stringify(what.request)}`
              }
            ORDER BY operation.started_at DESC LIMIT 1`
          return rows[0]?.session
        }, answering),

        outcome: Effect.fn("SessionRows.outcome")(function* (id, operation) {
          const rows = yield* sql<OutcomeRow & { origin: unknown }>`
            SELECT outcome, checkpoint, origin FROM operation
            WHERE session_id = ${id} AND id = ${operation} AND state <> 'running'`
          const row = rows[0]
          return row === undefined
            ? undefined
            : {
                outcome: decodeOutcome(row, operation),
                origin: Option.getOrUndefined(decodeOrigin(row.origin)),
              }
        }, answering),

        finish: (id, epoch, operation, outcome, unsaved = false) =>
          written(
            id,
            sql`
              WITH owned AS (
                SELECT id FROM session WHERE id = ${id} AND epoch = ${epoch}
                FOR ${sql.literal(unsaved ? "UPDATE" : "SHARE")}
              ), marked AS (
                UPDATE session SET unsaved = true
                WHERE id = ${id} AND epoch = ${epoch} AND ${unsaved} AND NOT unsaved
              )
              ${end(outcome)} FROM owned
              WHERE session_id = owned.id AND operation.id = ${operation} RETURNING 1`,
          ),

        settle: (id, epoch) =>
          written(
            id,
            sql`UPDATE session SET unsaved = false WHERE id = ${id} AND epoch = ${epoch} RETURNING 1`,
          ),

        commit: Effect.fnUntraced(function* (id, epoch, checkpoint, ended) {
          const ending =
            ended === undefined
              ? undefined
              : sql`${end(ended.outcome)} WHERE session_id = ${id} AND id = ${ended.operation}`
          const attempt = checkpoints.commit(id, epoch, checkpoint, ending)
          if (yield* attempt) return
          // What was in its way is told, or taken out of it.
          yield* sql.withTransaction(
            Effect.gen(function* () {
              const owned = yield* sql`
                SELECT 1 FROM session WHERE id = ${id} AND epoch = ${epoch} AND closed_at IS NULL FOR UPDATE`
              yield* refused(id)(owned)
              if (yield* checkpoints.reclaim(id, checkpoint)) return
              if (!(yield* attempt)) return yield* new CheckpointOutdated()
            }),
          )
        }, answering),
      }
    }),
  )
}
