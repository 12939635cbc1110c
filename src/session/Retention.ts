/** What is kept of operations that have ended, for callers that come back: some, for a while. */
import type { OperationId } from "../domain/Identity.ts"
import type { Outcome } from "../domain/Operation.ts"

/** Operations, for how long, in milliseconds, and the characters of what they said and answered. */
const maxEnded = 64
const keepMs = 60_000
const maxKept = 16 * 1024 * 1024

export interface Ended {
  readonly id: OperationId
  /** By `performance.now`. */
  readonly endedAt: number
  /** In characters. */
  readonly kept: number
}

/** Those to forget. The one that ended last stays, whatever its size. */
export const overdue = (ended: ReadonlyArray<Ended>) => {
  const now = performance.now()
  let all = 0
  return [...ended]
    .sort((one, other) => other.endedAt - one.endedAt)
    .filter(({ endedAt, kept }, index) => {
      all += kept
      return index >= maxEnded || now - endedAt > keepMs || (index > 0 && all > maxKept)
    })
}

/** Of what takes room in an answer. */
export const charactersOf = (outcome: Outcome) =>
  outcome._tag === "Failed"
    ? 0
    : Object.values(outcome.output as object).reduce(
        (sum: number, field) => sum + (typeof field === "string" ? field.length : 0),
        outcome.content === undefined ? 0 : JSON.stringify(outcome.content).length,
      )
