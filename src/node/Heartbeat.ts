/**
 * Tells Postgres that this node lives, so that others know whose containers are left over. A start under a
 * node id ends the incarnations before it; one that finds itself ended in that way leaves.
 */
import { SqlClient } from "@effect/sql"
import { Context, Duration, Effect, Fiber, Layer, Schedule, Schema } from "effect"
import { linkKeys } from "../cluster/LinkKeys.ts"
import { NodeIdentity } from "../domain/NodeIdentity.ts"
import { timeLimit } from "../domain/TimeLimit.ts"
import { Docker } from "../sandbox/Docker.ts"
import { listening } from "../sandbox/tunnel/Peers.ts"
import { settings } from "../Settings.ts"

/** Another process runs under this node's id. */
export class NodeReplaced extends Schema.TaggedError<NodeReplaced>()("NodeReplaced", {
  node: Schema.String,
}) {
  override get message() {
    return `Another process was started as node ${this.node}; give each node a NODE_ID or DATA_DIR of its own.`
  }
}

/** Another node of the cluster could not talk with this one. */
class SecretDiffers extends Schema.TaggedError<SecretDiffers>()("SecretDiffers", {
  other: Schema.String,
}) {
  override get message() {
    return `${this.other}, a node of this cluster, does not share this node's CLUSTER_SECRET. Give all nodes the same; to change it, let all accept the new one before any uses it first.`
  }
}

/** Whether each accepts the key that the other dials with. */
const understand = (ours: ReadonlyArray<string>, theirs: ReadonlyArray<string>) =>
  accepts(ours, theirs) && accepts(theirs, ours)

const accepts = (keys: ReadonlyArray<string>, [dialled]: ReadonlyArray<string>) =>
  dialled === undefined ? keys.length === 0 : keys.includes(dialled)

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
    const expiry = Duration.toSeconds(yield* settings.nodeExpiry.config)
    const keys = (yield* linkKeys).map(({ identity }) => identity)
    const listens = yield* listening
    const register = sql`
      INSERT INTO node (incarnation, id, engine, link_keys, listens)
      VALUES (${incarnation}, ${node}, ${engine}, ${keys}::text[], ${listens}::text[])`

    yield* sql.withTransaction(
      Effect.gen(function* () {
        // Of two that start at once, the second sees the first.
        yield* sql`LOCK TABLE node IN SHARE ROW EXCLUSIVE MODE`
        yield* sql`UPDATE node SET ended_at = now() WHERE id = ${node} AND ended_at IS NULL`
        const others = yield* sql<{ id: string; keys: ReadonlyArray<string> }>`
          SELECT id, link_keys AS keys FROM node
          WHERE ended_at IS NULL AND seen_at > now() - ${expiry} * interval '1 second'`
        const stranger = others.find((other) => !understand(keys, other.keys))
        if (stranger !== undefined) return yield* new SecretDiffers({ other: stranger.id })
        yield* register
      }),
    )
    yield* Effect.addFinalizer(() =>
      sql`UPDATE node SET ended_at = now() WHERE incarnation = ${incarnation}`.pipe(
        timeLimit("2 seconds", () => "no answer" as const),
        Effect.ignore,
      ),
    )
    const beat = sql<{ ended: boolean }>`
      ${register} ON CONFLICT (incarnation) DO UPDATE SET seen_at = now() RETURNING ended_at IS NOT NULL AS ended`.pipe(
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
