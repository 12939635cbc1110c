/** The end of an operation, for a caller who waits for nothing else. */
import { Effect } from "effect"
import type { OperationId } from "../../src/domain/Identity.ts"
import type { Outcome } from "../../src/domain/Operation.ts"
import type { Operations } from "../../src/session/Operations.ts"

/** The outcome; undefined where there is none after `waitMs` milliseconds. */
export const outcomeOf = ({ page }: Operations, id: OperationId, waitMs: number) =>
  Effect.flatMap(page(id, undefined, waitMs), ({ reply }) =>
    reply?._tag === "Running" || reply?._tag === "Cancelled"
      ? Effect.dieMessage(`the operation is told as ${reply._tag}`)
      : Effect.succeed<Outcome | undefined>(reply),
  )

/** What a tool answered, or the failure that it came to. */
export const told = (outcome: Outcome | undefined) =>
  (outcome?._tag === "Answered" ? outcome.output : outcome?.failure) as Record<string, unknown>
