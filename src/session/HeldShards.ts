/** The shards whose locks this node holds. */
import { ShardId, type Sharding, ShardingConfig } from "@effect/cluster"

const all = Array.from({ length: ShardingConfig.defaults.shardsPerGroup }, (_, index) =>
  ShardId.make("default", index + 1),
)

export const heldShards = (sharding: Sharding.Sharding["Type"]) =>
  all.filter((id) => sharding.hasShardId(id)).length
