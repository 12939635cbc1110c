/** What the processes of the cluster's Postgres take; it runs on this machine. */
import { SqlClient } from "@effect/sql"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Redacted } from "effect"
import type { Scope } from "effect"
import { readFileSync } from "node:fs"
import { StartError } from "../../process/StartError.ts"

/** Processor time so far in milliseconds, by process. */
type Times = ReadonlyMap<number, number>

/** Asks on a connection of its own, which is not counted. */
export const make = (url: string): Effect.Effect<Effect.Effect<Times, StartError>, StartError, Scope.Scope> =>
  Layer.build(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 })).pipe(
    Effect.map((context) => {
      const sql = Context.get(context, SqlClient.SqlClient)
      return sql<{ pid: number }>`SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()`.pipe(
        Effect.map((rows) => new Map(rows.map(({ pid }) => [pid, timeOf(pid)]))),
        Effect.mapError(unreachable),
      )
    }),
    Effect.mapError(unreachable),
  )

/** What all took from one look to the next, in milliseconds. */
export const between = (before: Times, after: Times): number =>
  [...after].reduce((sum, [pid, time]) => sum + time - (before.get(pid) ?? 0), 0)

const timeOf = (pid: number) => {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0]) / 1e6
  } catch {
    // It has ended since.
    return 0
  }
}

const unreachable = (cause: unknown) =>
  new StartError({ problem: "Postgres does not answer.", remedy: "Measure again.", cause })
