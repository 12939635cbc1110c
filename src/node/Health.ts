/** Whether this node can do its work: Postgres and the engine answer, and it holds shards. */
import { Sharding } from "@effect/cluster"
import { SqlClient } from "@effect/sql"
import { Context, Effect, Layer } from "effect"
import { NodeIdentity } from "../domain/NodeIdentity.ts"
import { Docker } from "../sandbox/Docker.ts"
import type { PoolStatus } from "../sandbox/Pool.ts"
import { Sandboxes } from "../sandbox/Sandboxes.ts"
import { heldShards } from "../session/HeldShards.ts"
import { HeldSessions } from "../session/HeldSessions.ts"

export interface Readiness {
  readonly ready: boolean
  readonly node: string
  readonly incarnation: string
  readonly cluster: string
  readonly postgres: boolean
  readonly engine: boolean
  /** Shards whose lock this node holds. */
  readonly shards: number
  /** Of each template: sandboxes that wait, and takers who did and did not find one. */
  readonly pools: Readonly<Record<string, PoolStatus>>
}

export class Health extends Context.Tag("codegen-mcp/node/Health")<
  Health,
  {
    /** Asks both, for 2 s at most. */
    readonly readiness: Effect.Effect<Readiness>
  }
>() {
  static readonly layer = Layer.effect(
    Health,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const docker = yield* Docker
      const sharding = yield* Sharding.Sharding
      const sandboxes = yield* Sandboxes
      const identity = yield* NodeIdentity
      const sessions = yield* HeldSessions
      const answers = <A, E>(question: Effect.Effect<A, E>) =>
        Effect.isSuccess(Effect.timeout(question, "2 seconds"))
      return {
        readiness: Effect.gen(function* () {
          const [postgres, engine] = yield* Effect.all(
            [answers(sql`SELECT 1`), answers(docker.use("ping", (docker) => docker.ping()))],
            { concurrency: 2 },
          )
          const shards = heldShards(sharding)
          const stopping = sessions.isLeaving() || (yield* sharding.isShutdown)
          return {
            ready: postgres && engine && shards > 0 && !stopping,
            ...identity,
            postgres,
            engine,
            shards,
            pools: Object.fromEntries(yield* sandboxes.pools),
          }
        }),
      }
    }),
  )
}
