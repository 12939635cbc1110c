/** How an operation speaks with the client whose request it answers. */
import { weighs } from "../domain/Event.ts"
import type { Operation } from "../domain/Operation.ts"
import type { OwnerCall } from "../tools/Tool.ts"
import type { Operations } from "./Operations.ts"

export const clientOf = (
  operations: Operations,
  { id, origin }: Operation,
): Pick<OwnerCall, "ask" | "log" | "progress"> => ({
  progress:
    origin?.progress === undefined
      ? undefined
      : (progress) => operations.emit(id, { _tag: "Progress", ...progress }),
  log: (level, data) => {
    if (origin?.log !== undefined && weighs(level, origin.log)) {
      operations.emit(id, { _tag: "Log", level, data })
    }
  },
  ask: (question) => operations.ask(id, question),
})
