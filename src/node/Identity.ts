/** Who this process is: the node's id from its data folder, the cluster's from Postgres, a new incarnation. */
import { FileSystem, Path } from "@effect/platform"
import { SqlClient } from "@effect/sql"
import { Effect, Layer, Option, Schema } from "effect"
import { Incarnation, NodeId, randomId } from "../domain/Identity.ts"
import { NodeIdentity } from "../domain/NodeIdentity.ts"
import { settings } from "../Settings.ts"

/** The node's id cannot be read, kept or used. */
class IdentityUnusable extends Schema.TaggedError<IdentityUnusable>()("IdentityUnusable", {
  problem: Schema.String,
}) {
  override get message() {
    return this.problem
  }
}

export const layer = Layer.effect(
  NodeIdentity,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const rows = yield* sql<{ id: string }>`SELECT id FROM cluster`
    return {
      node: yield* nodeId,
      incarnation: Incarnation.make(yield* randomId("i_")),
      cluster: rows[0]?.id ?? (yield* Effect.dieMessage("the migrations left no cluster id")),
    }
  }),
)

/** NODE_ID, or the id in the data folder, made there at the first start. */
const nodeId = Effect.gen(function* () {
  const chosen = yield* settings.nodeId.config
  const folder = yield* settings.dataDir.config
  const path = yield* Path.Path
  const files = yield* FileSystem.FileSystem
  const file = path.join(folder, "node-id")
  const kept = files.makeDirectory(folder, { recursive: true }).pipe(
    Effect.zipRight(files.readFileString(file)),
    Effect.catchIf(
      (error) => error._tag === "SystemError" && error.reason === "NotFound",
      () =>
        Effect.tap(
          Effect.map(randomId("i_"), (id) => `node-${id.slice(2, 14)}`),
          (id) => files.writeFileString(file, id, { flag: "wx" }),
        ),
    ),
    Effect.mapError(
      (error) => new IdentityUnusable({ problem: `${folder} (DATA_DIR) cannot be used: ${error.message}` }),
    ),
  )
  const id = (Option.isSome(chosen) ? chosen.value : yield* kept).trim()
  return yield* Schema.decodeUnknown(NodeId)(id).pipe(
    Effect.mapError(
      () =>
        new IdentityUnusable({
          problem: `“${id.slice(0, 80)}” is no node id: use 1 to 63 letters, digits, “.”, “_” and “-” (NODE_ID).`,
        }),
    ),
  )
})
