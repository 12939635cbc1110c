/** What a session may reach outside; null where its template says. */
import { SqlClient } from "@effect/sql"
import { Effect } from "effect"

export const network = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE session ADD COLUMN network text[]`
})
