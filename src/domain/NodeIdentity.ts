/** Which node this process is, and in which cluster. */
import { Context } from "effect"
import type { Incarnation, NodeId } from "./Identity.ts"

export class NodeIdentity extends Context.Tag("codegen-mcp/domain/NodeIdentity")<
  NodeIdentity,
  {
    readonly node: NodeId
    readonly incarnation: Incarnation
    /** The id that its Postgres gave the cluster. */
    readonly cluster: string
  }
>() {}
