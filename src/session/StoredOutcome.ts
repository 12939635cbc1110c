/** How an operation ended, as its row says. */
import { Option, Schema } from "effect"
import { Origin } from "../domain/Event.ts"
import { failureOf } from "../domain/Failure.ts"
import type { OperationId } from "../domain/Identity.ts"
import { Outcome } from "../domain/Operation.ts"
import { Interrupted } from "../domain/SessionError.ts"

/** What is recorded of an operation that has ended. */
export interface Ended {
  readonly outcome: Outcome
  readonly origin: Origin | undefined
}

export interface OutcomeRow {
  readonly outcome: unknown
  readonly checkpoint: number | null
}

export const decodeOutcome = ({ outcome, checkpoint }: OutcomeRow, operation: OperationId): Outcome =>
  Option.getOrElse(Schema.decodeUnknownOption(Outcome)(outcome), () => interrupted(operation, checkpoint))

export const decodeOrigin = Schema.decodeUnknownOption(Origin)

/** The outcome of an operation whose end nobody saw. */
export const interrupted = (operation: OperationId, checkpoint: number | null = null): Outcome => ({
  _tag: "Failed",
  state: "interrupted",
  failure: failureOf(new Interrupted({ operation, ...(checkpoint === null ? {} : { checkpoint }) })),
})

/** What became of an operation that was to begin. */
export type Begun =
  | { readonly _tag: "Begun" }
  | { readonly _tag: "Running"; readonly inputHash: string }
  | { readonly _tag: "Ended"; readonly inputHash: string; readonly outcome: Outcome }
