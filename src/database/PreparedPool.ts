/**
 * Connections to Postgres on which a statement is parsed and planned once, and not at every use. They keep what they
 * prepared, so none of them may be handed on by a transaction-mode pooler.
 */
import { Duration, Effect } from "effect"
import type { Scope } from "effect"
import { Client, Pool } from "pg"

/** The pool ends with the scope. What it connects to is found out with the first query. */
export const make = (options: {
  readonly connectionString: string
  readonly maxConnections: number
  readonly connectTimeout: Duration.DurationInput
  readonly applicationName: string
}): Effect.Effect<Pool, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const pool = new Pool({
        connectionString: options.connectionString,
        max: options.maxConnections,
        connectionTimeoutMillis: Duration.toMillis(options.connectTimeout),
        application_name: options.applicationName,
        Client: PreparingClient,
      })
      // Of a connection that nobody uses; the pool drops it.
      pool.on("error", () => undefined)
      return pool
    }),
    (pool) => Effect.promise(() => pool.end()).pipe(Effect.interruptible, Effect.timeoutOption("1 second")),
  )

/** Names the statement of every query with parameters, by which the server knows it again. */
class PreparingClient extends Client {
  override query(...query: ReadonlyArray<any>): any {
    const [text, values, ...rest] = query
    const name = typeof text === "string" && Array.isArray(values) ? nameOf(text, values.length) : undefined
    return Reflect.apply(super.query, this, name === undefined ? query : [{ name, text }, values, ...rest])
  }
}

const names = new Map<string, string>()

const nameOf = (text: string, parameters: number) => {
  const known = names.get(text)
  if (known !== undefined) return known
  if (parameters === 0 || parameters > maxParameters || names.size === maxStatements) return undefined
  const name = `s${names.size}`
  names.set(text, name)
  return name
}

/** What has more of them is a list of this length or that, and seldom the same again. */
const maxParameters = 16

/** Each costs every connection some kilobytes at the server. */
const maxStatements = 200
