/** What a running local cluster tells others about itself: the contents of the file that `--state` names. */
import { Schema } from "effect"

/** One node process on this machine; its entry stays when it dies. */
export const NodeEntry = Schema.Struct({
  id: Schema.String,
  incarnation: Schema.String,
  /** Where it serves HTTP, without a path. */
  url: Schema.String,
  pid: Schema.Int,
})
export type NodeEntry = typeof NodeEntry.Type

export const ClusterState = Schema.Struct({
  /** Where MCP is served, through the balancer. */
  mcpUrl: Schema.String,
  balancer: Schema.Struct({ url: Schema.String, pid: Schema.Int }),
  clusterId: Schema.String,
  /** The bearer token that the start made up; null where it made none. */
  token: Schema.NullOr(Schema.String),
  databaseUrl: Schema.String,
  nodes: Schema.Array(NodeEntry),
  /** The settings that all nodes share, as environment variables. */
  settings: Schema.Record({ key: Schema.String, value: Schema.String }),
})
export type ClusterState = typeof ClusterState.Type
