/** Where a node listens, so that no tunnel of another leads there. */
import { SqlClient } from "@effect/sql"
import { Effect } from "effect"

export const listens = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  // Each a host, a space and a port.
  yield* sql`ALTER TABLE node ADD COLUMN listens text[] NOT NULL DEFAULT '{}'`
})
