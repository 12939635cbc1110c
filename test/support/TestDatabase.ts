/** An empty database of its own on the server that TEST_DATABASE_URL names; dropped when the scope closes. */
import { SqlClient } from "@effect/sql"
import { PgClient } from "@effect/sql-pg"
import { Config, Effect, Redacted } from "effect"
import { randomBytes } from "node:crypto"

/** Makes the database and gives its URL. */
export const make = Effect.gen(function* () {
  const server = new URL(yield* Config.string("TEST_DATABASE_URL"))
  const name = `codegen_test_${randomBytes(6).toString("hex")}`
  const administer = (statement: string) =>
    Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe(statement)).pipe(
      Effect.provide(PgClient.layer({ url: Redacted.make(server.toString()), maxConnections: 1 })),
    )
  yield* Effect.acquireRelease(administer(`CREATE DATABASE ${name}`), () =>
    Effect.orDie(administer(`DROP DATABASE ${name} WITH (FORCE)`)),
  )
  return Object.assign(new URL(server), { pathname: `/${name}` }).toString()
})
