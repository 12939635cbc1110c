/**
 * This node's place in the cluster. Every node computes the same hash ring and serves a shard only while it
 * holds its Postgres lock, on a connection that Postgres ends when the node falls silent.
 */
import {
  RunnerAddress,
  RunnerStorage,
  ShardingConfig,
  SqlMessageStorage,
  SqlRunnerStorage,
} from "@effect/cluster"
import { Effect, Layer, Option } from "effect"
import { exclusively, layerLocks } from "../database/Database.ts"
import { Lease } from "../domain/Lease.ts"
import { settings } from "../Settings.ts"
import * as DeadRunners from "./DeadRunners.ts"
import * as RunnerLink from "./RunnerLink.ts"

const shardingConfig = Layer.unwrapEffect(
  Effect.gen(function* () {
    const host = yield* settings.runnerHost.config
    const port = yield* settings.runnerPort.config
    return ShardingConfig.layer({
      runnerAddress: Option.some(RunnerAddress.make(host, port)),
      shardLockExpiration: yield* settings.shardLockExpiration.config,
      shardLockRefreshInterval: yield* settings.shardLockRefresh.config,
      refreshAssignmentsInterval: "500 millis",
      runnerHealthCheckInterval: "2 seconds",
      entityMessagePollInterval: "2 seconds",
      entityTerminationTimeout: "5 seconds",
      sendRetryInterval: "50 millis",
      simulateRemoteSerialization: false,
    })
  }),
)

/** The library's tables, made under one lock before the layers that would race to make them. */
const tables = Layer.effectDiscard(
  exclusively(
    Effect.scoped(Layer.build(Layer.fresh(Layer.mergeAll(SqlMessageStorage.layer, SqlRunnerStorage.layer)))),
  ),
)

/** The runners' storage, of which each renewal of this node's locks is noted in its lease. */
const storage = Layer.effect(
  RunnerStorage.RunnerStorage,
  Effect.gen(function* () {
    const rows = yield* RunnerStorage.RunnerStorage
    const lease = yield* Lease
    return {
      ...rows,
      refresh: (address, shards) =>
        Effect.suspend(() => {
          const since = performance.now()
          return Effect.tap(rows.refresh(address, shards), () => Effect.sync(() => lease.renewed(since)))
        }),
    }
  }),
).pipe(Layer.provide(SqlRunnerStorage.layer))

/** Sharding over the query pool for messages and the lock pool for shards. */
export const layer = DeadRunners.layer.pipe(
  Layer.provideMerge(RunnerLink.layer),
  Layer.provideMerge(SqlMessageStorage.layer),
  Layer.provide(storage.pipe(Layer.provide(layerLocks))),
  Layer.provide(tables),
  Layer.provide(shardingConfig),
)
