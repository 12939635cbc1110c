/** Databases on the server that TEST_DATABASE_URL names, and a way to it that can be cut. */
import { SqlClient } from "@effect/sql"
import { PgClient } from "@effect/sql-pg"
import { Config, Effect, Redacted } from "effect"
import { randomBytes } from "node:crypto"
import * as TcpProxy from "./TcpProxy.ts"

/** Makes an empty database, which is dropped when the scope closes, and gives its URL. */
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

/** A way to the server of all test databases that a test can cut. */
export const way = Effect.flatMap(Config.string("TEST_DATABASE_URL"), (url) => {
  const { hostname, port } = new URL(url)
  return TcpProxy.make({ host: hostname, port: Number(port === "" ? 5432 : port) })
})

/** The URL of a database by that way. */
export const through = (port: number) => (url: string) =>
  Object.assign(new URL(url), { host: `127.0.0.1:${port}` }).toString()
