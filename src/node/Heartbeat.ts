/**
 * Tells Postgres that this node lives, so that others know whose containers are left over. A start under a
 * node id ends the incarnations before it; one that finds itself ended in that way leaves.
 */
import { SqlClient } from "@effect/sql"
import { Context, Effect, Fiber, Layer, Schedule, Schema } from "effect"
import { NodeIdentity } from "../domain/NodeIdentity.ts"
import { timeLimit } from "../domain/TimeLimit.ts"
import { Docker } from "../sandbox/Docker.ts"
import { settings } from "../Settings.ts"

/** Another process runs under this node's id. */
export class NodeReplaced extends Schema.TaggedError<NodeReplaced>()("NodeReplaced", {
  node: Schema.String,
}) {
  override get message() {
    return `Another process was started as node ${this.node}; give each node a NODE_ID or DATA_DIR of its own.`
  }
}

export class Heartbeat extends Context.Tag("codegen-mcp/node/Heartbeat")<
  Heartbeat,
  {
    /** Never ends, unless another process takes this node's id. */
    readonly replaced: Effect.Effect<never, NodeReplaced>
  }
>() {}

/** Registers the node for as long as the layer lives. */
export const layer = Layer.scoped(
  Heartbeat,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const { engine } = yield* Docker
    const { node, incarnation } = yield* NodeIdentity
    const interval = yield* settings.heartbeat.config

    yield* sql.withTransaction(
      Effect.gen(function* () {
        yield* sql`UPDATE node SET ended_at = now() WHERE id = ${node} AND ended_at IS NULL`
        yield* sql`INSERT INTO node (incarnation, id, engine) VALUES (${incarnation}, ${node}, ${engine})`
      }),
    )
    yield* Effect.addFinalizer(() =>
      sql`UPDATE node SET ended_at = now() WHERE incarnation = ${incarnation}`.pipe(
        timeLimit("2 seconds", () => "no answer" as const),
        Effect.ignore,
      ),
    )
    const beat = sql<{ ended: boolean }>`
      INSERT INTO node (incarnation, id, engine) VALUES (${incarnation}, ${node}, ${engine})
      ON CONFLICT (incarnation) DO UPDATE SET seen_at = now() RETURNING ended_at IS NOT NULL AS ended`.pipe(
      Effect.timeout("5 seconds"),
      Effect.catchAll((error) => Effect.as(Effect.logWarning("no heartbeat", error.message), [])),
      Effect.filterOrFail(
        (rows) => rows[0]?.ended !== true,
        () => new NodeReplaced({ node }),
      ),
    )
    const beating = yield* Effect.forkScoped(
      Effect.zipRight(Effect.repeat(beat, Schedule.spaced(interval)), Effect.never),
    )
    return { replaced: Fiber.join(beating) }
  }),
)
