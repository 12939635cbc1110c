/** Rows of sessions, made and looked at by SQL. */
import { SqlClient } from "@effect/sql"
import { Effect } from "effect"
import { randomId, SessionId } from "../../src/domain/Identity.ts"

/** A new session of `principal`, without an owner. */
export const insert = Effect.fnUntraced(function* (
  values: {
    readonly principal?: string
    readonly name?: string
    readonly lifetime?: "connection" | "unnamed" | "named"
    readonly used?: boolean
    readonly lost?: boolean
    readonly template?: string
  } = {},
) {
  const sql = yield* SqlClient.SqlClient
  const id = SessionId.make(yield* randomId("s_"))
  const {
    principal = "local",
    name = null,
    lifetime = "named",
    used = false,
    lost = false,
    template = "default",
  } = values
  yield* sql`
    INSERT INTO session (id, principal, name, lifetime, used, lost, template)
    VALUES (${id}, ${principal}, ${name}, ${lifetime}, ${used}, ${lost}, ${template})`
  return id
})

export interface SessionRow {
  readonly epoch: number
  readonly node: string | null
  readonly incarnation: string | null
  readonly container: string | null
  readonly used: boolean
  readonly lost: boolean
  readonly head: number | null
  readonly unsaved: boolean
  readonly closed: boolean
}

/** The row, or undefined where there is none. */
export const row = (id: SessionId) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    Effect.map(
      sql<SessionRow>`
        SELECT epoch, node, incarnation, container, used, lost, head, unsaved, closed_at IS NOT NULL AS closed
        FROM session WHERE id = ${id}`,
      (rows) => rows[0],
    ),
  )

/** What is recorded of a session's operations: states by id. */
export const states = (id: SessionId) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    Effect.map(
      sql<{
        id: string
        state: string
      }>`SELECT id, state FROM operation WHERE session_id = ${id} ORDER BY id`,
      (rows) => Object.fromEntries(rows.map(({ id, state }) => [id, state])),
    ),
  )
