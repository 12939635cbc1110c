/**
 * The Postgres clients. Queries use one pool; the cluster's shard locks use another,
 * whose connection Postgres ends when it falls silent, so that a frozen node loses its shards.
 */
import { Migrator, SqlClient, SqlError } from "@effect/sql"
import { PgClient } from "@effect/sql-pg"
import { Duration, Effect, Layer, Redacted, Schema } from "effect"
import { Unavailable } from "../domain/SessionError.ts"
import { timeLimit } from "../domain/TimeLimit.ts"
import { settings } from "../Settings.ts"
import { initial } from "./migrations/0001_initial.ts"
import { template } from "./migrations/0002_template.ts"
import { origin } from "./migrations/0003_origin.ts"
import { clientState } from "./migrations/0004_client_state.ts"
import { connectionsOfPrincipal } from "./migrations/0005_connections_of_principal.ts"
import { checkpoints } from "./migrations/0006_checkpoints.ts"
import { linkKeys } from "./migrations/0007_link_keys.ts"
import { damaged } from "./migrations/0008_damaged.ts"
import { network } from "./migrations/0009_network.ts"
import { artifacts } from "./migrations/0010_artifacts.ts"
import { compaction } from "./migrations/0011_compaction.ts"
import { listens } from "./migrations/0012_listens.ts"
import * as PreparedPool from "./PreparedPool.ts"

/** Postgres could not be used at start; the message says where it was looked for. */
export class DatabaseUnreachable extends Schema.TaggedError<DatabaseUnreachable>()("DatabaseUnreachable", {
  host: Schema.String,
  cause: Schema.Defect,
}) {
  override get message() {
    return `Postgres at ${this.host} cannot be used: ${reason(this.cause)}. Check DATABASE_URL, and that the server runs.`
  }
}

/** The pool for queries, with all migrations done. Fails where Postgres cannot be reached. */
export const layer = Layer.unwrapScoped(
  Effect.gen(function* () {
    const url = yield* settings.databaseUrl.config
    const maxConnections = yield* settings.databasePool.config
    const pool = PgClient.layerFromPool({
      acquire: PreparedPool.make({
        connectionString: Redacted.value(url),
        maxConnections,
        connectTimeout: "5 seconds",
        applicationName: "codegen-mcp",
      }),
    })
    return Layer.effectDiscard(migrate).pipe(
      Layer.provideMerge(pool),
      Layer.catchAll((cause) => Layer.fail(new DatabaseUnreachable({ host: hostOf(url), cause }))),
    )
  }),
)

/** The pool that holds shard locks: Postgres ends a connection of it that says nothing for two seconds past the locks' time. */
export const layerLocks = Layer.unwrapEffect(
  Effect.gen(function* () {
    const url = yield* settings.databaseUrl.config
    const silence = Duration.sum(yield* settings.shardLockExpiration.config, "2 seconds")
    return PgClient.layer({
      url: Redacted.make(withSilence(Redacted.value(url), silence)),
      maxConnections: 3,
      connectTimeout: "5 seconds",
      applicationName: "codegen-mcp locks",
    }).pipe(Layer.catchAll((cause) => Layer.fail(new DatabaseUnreachable({ host: hostOf(url), cause }))))
  }),
)

/**
 * Runs `effect` while this process alone holds the cluster's set-up lock, on a connection of its own,
 * so that N nodes may start at once on an empty database.
 */
export const exclusively = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const connection = yield* sql.reserve
    yield* Effect.acquireReleaseInterruptible(
      connection.executeRaw(`SELECT pg_advisory_lock(${setUpLock})`, []).pipe(
        Effect.timeoutFail({
          duration: "1 minute",
          onTimeout: () =>
            new SqlError.SqlError({ message: "another node has been setting it up for a minute" }),
        }),
      ),
      () => Effect.ignore(connection.executeRaw(`SELECT pg_advisory_unlock(${setUpLock})`, [])),
    )
    return yield* effect
  }).pipe(Effect.scoped)

/** Makes SQL's failures typed: Postgres answers within 5 s or counts as out of reach. */
export const answering = <A, E, R>(
  effect: Effect.Effect<A, E | SqlError.SqlError, R>,
): Effect.Effect<A, Exclude<E, SqlError.SqlError> | Unavailable, R> =>
  effect.pipe(
    timeLimit("5 seconds", () => new Unavailable({ what: "Postgres" })),
    Effect.catchIf(
      (error): error is (E | SqlError.SqlError) & SqlError.SqlError => error instanceof SqlError.SqlError,
      (error) =>
        Effect.zipRight(
          Effect.logWarning("Postgres", error),
          Effect.fail(new Unavailable({ what: "Postgres" })),
        ),
    ),
  ) as Effect.Effect<A, Exclude<E, SqlError.SqlError> | Unavailable, R>

/** A number that no shard lock uses: those stand in the upper half of the range. */
const setUpLock = 7231

const migrate = exclusively(
  Migrator.make({})({
    loader: Migrator.fromRecord({
      "0001_initial": initial,
      "0002_template": template,
      "0003_origin": origin,
      "0004_client_state": clientState,
      "0005_connections_of_principal": connectionsOfPrincipal,
      "0006_checkpoints": checkpoints,
      "0007_link_keys": linkKeys,
      "0008_damaged": damaged,
      "0009_network": network,
      "0010_artifacts": artifacts,
      "0011_compaction": compaction,
      "0012_listens": listens,
    }),
  }),
)

const withSilence = (url: string, silence: Duration.Duration) => {
  const parsed = new URL(url)
  const limit = `-c idle_session_timeout=${Math.round(Duration.toMillis(silence))}`
  const given = parsed.searchParams.get("options")
  parsed.searchParams.set("options", given === null ? limit : `${given} ${limit}`)
  return parsed.toString()
}

const hostOf = (url: Redacted.Redacted) => {
  const value = Redacted.value(url)
  return URL.canParse(value) ? new URL(value).host : "the address in DATABASE_URL"
}

const reason = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  const inner = cause.cause
  const text = inner instanceof Error ? inner.message || ("code" in inner ? String(inner.code) : "") : ""
  return (text || cause.message).replace(/\s+/g, " ").slice(0, 200)
}
