/** MCP connections: one client's `Mcp-Session-Id`, bound at `initialize` to one session, good on any node. */
import { SqlClient } from "@effect/sql"
import { Context, Duration, Effect, Layer, Schedule, Schema, type Scope } from "effect"
import { answering } from "../database/Database.ts"
import { type LogLevel, QuestionKind } from "../domain/Event.ts"
import { ConnectionId, type Principal, randomId, type SessionId } from "../domain/Identity.ts"
import { SessionDirectory } from "../domain/SessionDirectory.ts"
import type { NetworkNotAllowed } from "../domain/Network.ts"
import type { SessionName } from "../domain/Session.ts"
import {
  TooManyConnections,
  type TooManySessions,
  type Unavailable,
  type UnknownTemplate,
} from "../domain/SessionError.ts"
import { settings } from "../Settings.ts"
import { Counts } from "./Counts.ts"

export interface Connection {
  readonly id: ConnectionId
  /** The session that calls without `session_id` mean. */
  readonly session: SessionId
  readonly protocolVersion: string
  /** The least weight of what its client's log shows; null while it did not say. */
  readonly logLevel: LogLevel | null
  /** What its client can be asked. */
  readonly questions: ReadonlyArray<QuestionKind>
}

/** What a client said of itself. */
export interface ClientHello {
  readonly protocolVersion: string
  readonly client: unknown
  readonly capabilities: unknown
}

/** A connection hears of as many resources as it may. */
export class TooManySubscriptions extends Schema.TaggedError<TooManySubscriptions>()("TooManySubscriptions", {
  limit: Schema.Int,
}) {
  override get message() {
    return `This connection has ${this.limit} subscriptions, which is the limit.`
  }
  readonly next = "Unsubscribe from a resource, then subscribe to this one."
}

export const maxSubscriptions = 100

export class Connections extends Context.Tag("codegen-mcp/mcp/Connections")<
  Connections,
  {
    /** Opens a connection to the named session, or to a new one that ends with it. */
    readonly open: (
      principal: Principal,
      name: SessionName | undefined,
      hello: ClientHello,
    ) => Effect.Effect<
      Pick<Connection, "id" | "session">,
      TooManyConnections | TooManySessions | UnknownTemplate | NetworkNotAllowed | Unavailable
    >
    /** The principal's connection of that id, its lease renewed; undefined for an unknown, ended or foreign one. */
    readonly find: (principal: Principal, id: string) => Effect.Effect<Connection | undefined, Unavailable>
    readonly setLevel: (id: ConnectionId, level: LogLevel) => Effect.Effect<void, Unavailable>
    /** Adds or takes away a subscription. */
    readonly subscribe: (
      id: ConnectionId,
      uri: string,
      on: boolean,
    ) => Effect.Effect<void, TooManySubscriptions | Unavailable>
    /** Keeps what a client said of itself after its connection was open. */
    readonly introduce: (id: ConnectionId, hello: ClientHello) => Effect.Effect<void, Unavailable>
    /** Keeps the lease while the scope is open. */
    readonly keep: (id: ConnectionId) => Effect.Effect<void, never, Scope.Scope>
    /** Ends a connection, and the session that was made for it. */
    readonly close: (
      principal: Principal,
      connection: Pick<Connection, "id" | "session">,
    ) => Effect.Effect<void, Unavailable>
  }
>() {
  static readonly layer = Layer.scoped(
    Connections,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const directory = yield* SessionDirectory
      const lease = Duration.toSeconds(yield* settings.connectionLease.config)
      const renewal = Math.min(lease / 4, 60)
      const limit = yield* settings.maxConnections.config
      /** Connections that are in use here, and by how many. */
      const kept = new Counts<ConnectionId>()
      yield* Effect.suspend(() => {
        const ids = [...kept.keys].join(",")
        return ids === ""
          ? Effect.void
          : sql`UPDATE connection SET seen_at = now() WHERE id = ANY(string_to_array(${ids}, ','))`
      }).pipe(
        Effect.ignore,
        Effect.delay(Duration.seconds(renewal)),
        Effect.repeat(Schedule.forever),
        Effect.forkScoped,
      )

      return {
        open: Effect.fn("Connections.open")(
          function* (principal, name, hello) {
            // The principal's lock is held from here on, so that none passes the limit beside another.
            const session = yield* directory.open(principal, name, "connection", undefined)
            const open = yield* sql<{ count: number }>`
              SELECT count(*)::int AS count FROM connection
              WHERE principal = ${principal} AND seen_at > now() - make_interval(secs => ${lease})`
            if ((open[0]?.count ?? 0) >= limit) return yield* new TooManyConnections({ limit })
            const id = ConnectionId.make(yield* randomId("c_"))
            yield* sql`
              INSERT INTO connection (id, principal, session_id, protocol_version, client, capabilities)
              VALUES (${id}, ${principal}, ${session.id}, ${hello.protocolVersion},
                ${JSON.stringify(hello.client)}::json, ${JSON.stringify(hello.capabilities)}::json)`
            return { id, session: session.id }
          },
          sql.withTransaction,
          answering,
        ),

        find: Effect.fnUntraced(function* (principal, id) {
          const rows = yield* sql<Omit<Connection, "questions"> & Record<QuestionKind | "stale", boolean>>`
            SELECT id, session_id AS session, protocol_version AS "protocolVersion", log_level AS "logLevel",
              capabilities->'elicitation' IS NOT NULL AS elicitation,
              capabilities->'sampling' IS NOT NULL AS sampling,
              seen_at < now() - make_interval(secs => ${renewal}) AS stale
            FROM connection
            WHERE id = ${id} AND principal = ${principal} AND seen_at > now() - make_interval(secs => ${lease})`
          const [row] = rows
          if (row === undefined) return undefined
          if (row.stale) yield* sql`UPDATE connection SET seen_at = now() WHERE id = ${id}`
          return { ...row, questions: QuestionKind.literals.filter((kind) => row[kind]) }
        }, answering),

        setLevel: (id, level) =>
          Effect.asVoid(answering(sql`UPDATE connection SET log_level = ${level} WHERE id = ${id}`)),

        subscribe: Effect.fn("Connections.subscribe")(function* (id, uri, on) {
          const others = sql`array_remove(subscriptions, ${uri})`
          const rows = yield* answering(sql`
            UPDATE connection SET subscriptions = ${on ? sql`array_append(${others}, ${uri})` : others}
            WHERE id = ${id} AND (${!on} OR cardinality(${others}) < ${maxSubscriptions})
            RETURNING id`)
          if (rows.length === 0) return yield* new TooManySubscriptions({ limit: maxSubscriptions })
        }),

        introduce: (id, { protocolVersion, client, capabilities }) =>
          Effect.asVoid(
            answering(sql`
              UPDATE connection SET protocol_version = ${protocolVersion},
                client = ${JSON.stringify(client)}::json, capabilities = ${JSON.stringify(capabilities)}::json
              WHERE id = ${id}`),
          ),

        keep: (id) => Effect.asVoid(kept.hold(id)),

        close: Effect.fn("Connections.close")(function* (principal, connection) {
          yield* answering(sql`DELETE FROM connection WHERE id = ${connection.id}`)
          const own = yield* answering(sql`
            SELECT 1 FROM session WHERE id = ${connection.session} AND lifetime = 'connection' AND closed_at IS NULL`)
          if (own.length === 0) return
          yield* directory
            .close(principal, connection.session)
            .pipe(Effect.catchTags({ SessionClosed: () => Effect.void, SessionNotFound: () => Effect.void }))
        }),
      }
    }),
  )
}
