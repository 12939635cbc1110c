/** What a client has set on its connection, good on any node. */
import { SqlClient } from "@effect/sql"
import { Effect } from "effect"

export const clientState = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`
    ALTER TABLE connection
      ADD COLUMN log_level text,
      ADD COLUMN subscriptions text[] NOT NULL DEFAULT '{}'`
})
