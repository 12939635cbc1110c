/** The rows of one session in memory, for what is tested above them. */
import { Effect } from "effect"
import { type OperationId, Principal } from "../../src/domain/Identity.ts"
import type { Outcome } from "../../src/domain/Operation.ts"
import { SessionMoved } from "../../src/domain/SessionError.ts"
import type { Claim, SessionRows } from "../../src/session/SessionRows.ts"
import type { Begun } from "../../src/session/StoredOutcome.ts"

interface Row {
  readonly inputHash: string
  outcome: Outcome | undefined
}

/** What a node is told that claims a new session. */
export const claim: Claim = {
  epoch: 1,
  principal: Principal.make("local"),
  name: null,
  template: "default",
  head: null,
  lost: false,
  continued: true,
  network: null,
}

export const make = () => {
  const operations = new Map<OperationId, Row>()
  /** The container of each `bind`, in order. */
  const bound: Array<string | undefined> = []
  const state = { epoch: 1, acknowledged: 0 }
  const owned = <A>(epoch: number, then: () => A) =>
    Effect.suspend(() => (epoch === state.epoch ? Effect.succeed(then()) : Effect.fail(new SessionMoved())))

  const rows: SessionRows["Type"] = {
    claim: () => Effect.sync(() => ({ ...claim, epoch: ++state.epoch })),
    bind: (_, epoch, container) => owned(epoch, () => void bound.push(container)),
    acknowledgeLoss: (_, epoch) => owned(epoch, () => void state.acknowledged++),
    begin: (_, epoch, { id, inputHash }) =>
      owned(epoch, (): Begun => {
        const known = operations.get(id)
        if (known === undefined) {
          operations.set(id, { inputHash, outcome: undefined })
          return { _tag: "Begun" }
        }
        return known.outcome === undefined
          ? { _tag: "Running", inputHash: known.inputHash }
          : { _tag: "Ended", inputHash: known.inputHash, outcome: known.outcome }
      }),
    subscriptionsOf: () => Effect.succeed([]),
    elsewhere: () => Effect.succeed(undefined),
    outcome: (_, id) =>
      Effect.sync(() => {
        const outcome = operations.get(id)?.outcome
        return outcome === undefined ? undefined : { outcome, origin: undefined }
      }),
    abandon: (_, epoch, id) => owned(epoch, () => void operations.delete(id)),
    finish: (_, epoch, id, outcome) => owned(epoch, () => void (operations.get(id)!.outcome = outcome)),
    settle: (_, epoch) => owned(epoch, () => undefined),
    commit: (_, epoch, __, ended) =>
      owned(epoch, () => {
        if (ended !== undefined) operations.get(ended.operation)!.outcome = ended.outcome
      }),
  }
  return { rows, operations, bound, state }
}
