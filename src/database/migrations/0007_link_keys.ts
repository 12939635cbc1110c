/** Nodes name the keys that they accept from each other, the one that they dial with first. */
import { SqlClient } from "@effect/sql"
import { Effect } from "effect"

export const linkKeys = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE node ADD COLUMN link_keys text[] NOT NULL DEFAULT '{}'`
})
