/** Sessions name the template that their sandbox is made by. */
import { SqlClient } from "@effect/sql"
import { Effect } from "effect"

export const template = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE session ADD COLUMN template text NOT NULL DEFAULT 'default'`
})
