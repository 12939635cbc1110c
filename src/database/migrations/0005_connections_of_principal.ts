/** The connections of a principal are counted at each `initialize`. */
import { SqlClient } from "@effect/sql"
import { Effect } from "effect"

export const connectionsOfPrincipal = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE INDEX connection_principal ON connection (principal, seen_at)`
})
