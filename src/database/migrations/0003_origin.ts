/** Operations name the request that they answer, so that its client can follow them on another node. */
import { SqlClient } from "@effect/sql"
import { Effect } from "effect"

export const origin = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE operation ADD COLUMN origin json`
})
