/** Pieces that the store did not give back as it took them: they are not named anew. */
import { SqlClient } from "@effect/sql"
import { Effect } from "effect"

export const damaged = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE piece ADD COLUMN damaged boolean NOT NULL DEFAULT false`
  // Few sessions have two at a time.
  yield* sql`CREATE INDEX checkpoint_bases ON checkpoint (session_id, base) WHERE number = base`
})
