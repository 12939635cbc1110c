/** The rows of sessions as their principals see them; to anyone else a session does not exist. */
import { SqlClient } from "@effect/sql"
import { Effect, Layer, Schema } from "effect"
import { answering } from "../database/Database.ts"
import { type Principal, randomId, SessionId } from "../domain/Identity.ts"
import type { SessionSummary } from "../domain/Session.ts"
import { SessionDirectory } from "../domain/SessionDirectory.ts"
import { SessionClosed, SessionNotFound, TooManySessions } from "../domain/SessionError.ts"
import { defaultTemplate, Templates } from "../sandbox/Templates.ts"
import { settings } from "../Settings.ts"
import { within } from "./SessionNetwork.ts"
import { Sessions } from "./Sessions.ts"

const isSessionId = Schema.is(SessionId)

export const layer = Layer.effect(
  SessionDirectory,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const sessions = yield* Sessions
    const templates = yield* Templates
    const networkMax = yield* settings.networkMax.config
    const limit = yield* settings.maxSessions.config
    const columns = sql.literal(
      `id, name, template, extract(epoch FROM created_at)::float8 * 1000 AS "createdAt", extract(epoch FROM active_at)::float8 * 1000 AS "activeAt"`,
    )

    const find = Effect.fn("SessionDirectory.find")(function* (principal: Principal, id: string) {
      if (!isSessionId(id)) return yield* new SessionNotFound({ session: id })
      const rows = yield* sql<SessionSummary & { closed: boolean }>`
        SELECT ${columns}, closed_at IS NOT NULL AS closed FROM session WHERE id = ${id} AND principal = ${principal}`
      const row = rows[0]
      if (row === undefined) return yield* new SessionNotFound({ session: id })
      if (row.closed) return yield* new SessionClosed({ session: row.id })
      yield* sql`
        UPDATE session SET active_at = now()
        WHERE id = ${row.id} AND closed_at IS NULL AND active_at < now() - interval '30 seconds'`
      return row
    }, answering)

    return {
      open: Effect.fn("SessionDirectory.open")(
        function* (principal, name, lifetime, template = defaultTemplate, network) {
          const found = yield* templates.find(template)
          if (network !== undefined) yield* within(network, found, networkMax)
          // One at a time of a principal, so that none passes the limit beside another, and of two callers that
          // open one name at once, the second finds the first's row.
          yield* sql`SELECT pg_advisory_xact_lock(hashtextextended(${principal}, 0))`
          for (;;) {
            if (name !== undefined) {
              const known = yield* sql<SessionSummary>`
              UPDATE session SET active_at = now()
              WHERE principal = ${principal} AND name = ${name} AND closed_at IS NULL RETURNING ${columns}`
              if (known[0] !== undefined) return { ...known[0], created: false }
            }
            const open = yield* sql<{ count: number }>`
            SELECT count(*)::int AS count FROM session WHERE principal = ${principal} AND closed_at IS NULL`
            if ((open[0]?.count ?? 0) >= limit) return yield* new TooManySessions({ limit })
            const id = SessionId.make(yield* randomId("s_"))
            const made = yield* sql<SessionSummary>`
            INSERT INTO session (id, principal, name, lifetime, template, network)
            VALUES (${id}, ${principal}, ${name ?? null}, ${name === undefined ? lifetime : "named"}, ${template},
              ${network === undefined ? null : [...network]}::text[])
            ON CONFLICT (principal, name) WHERE closed_at IS NULL AND name IS NOT NULL DO NOTHING
            RETURNING ${columns}`
            if (made[0] !== undefined) return { ...made[0], created: true }
          }
        },
        sql.withTransaction,
        answering,
      ),

      find,

      list: Effect.fn("SessionDirectory.list")(
        (principal) =>
          sql<SessionSummary>`
            SELECT ${columns} FROM session WHERE principal = ${principal} AND closed_at IS NULL ORDER BY created_at, id`,
        answering,
      ),

      close: Effect.fn("SessionDirectory.close")(function* (principal, id) {
        const closed = yield* answering(sql<{ id: SessionId; bound: boolean }>`
          UPDATE session SET closed_at = now()
          WHERE id = ${id} AND principal = ${principal} AND closed_at IS NULL
          RETURNING id, epoch > 0 AS bound`)
        if (closed[0] === undefined) {
          const { id: open } = yield* find(principal, id)
          return yield* new SessionNotFound({ session: open })
        }
        if (!closed[0].bound) return
        yield* sessions.release(closed[0].id)
        yield* answering(sql`
          UPDATE operation SET state = 'interrupted', ended_at = now()
          WHERE session_id = ${closed[0].id} AND state = 'running'`)
      }),
    }
  }),
)
