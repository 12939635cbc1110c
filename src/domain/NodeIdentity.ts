/** Which node this process is, and in which cluster. */
import { Context, Schema } from "effect"
import { Incarnation, NodeId } from "./Identity.ts"

export const NodeIdentityFields = Schema.Struct({
  node: NodeId,
  incarnation: Incarnation,
  cluster: Schema.String,
})

export class NodeIdentity extends Context.Tag("codegen-mcp/domain/NodeIdentity")<
  NodeIdentity,
  typeof NodeIdentityFields.Type
>() {}
