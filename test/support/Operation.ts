/** Operations as callers give them to a session. */
import { NodeId, OperationId } from "../../src/domain/Identity.ts"
import type { Operation } from "../../src/domain/Operation.ts"

let count = 0

/** One that nobody has begun yet. */
export const newOperation = (tool: string, input: unknown): Operation => ({
  id: OperationId.make(`o_${++count}`),
  tool,
  input,
  edgeNode: NodeId.make("edge"),
})
