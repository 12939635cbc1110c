/** How the end of an operation is recorded: with the save of its files, or before it where its caller waits no longer. */
import { Deferred, Effect, FiberId } from "effect"
import type { SessionClosed, SessionMoved, Unavailable } from "../domain/SessionError.ts"
import type { CheckpointState } from "../tools/Tool.ts"
import type { CheckpointOutdated, Prepared } from "../workspace/CheckpointRows.ts"

type Refused = CheckpointOutdated | SessionMoved | SessionClosed | Unavailable

export interface Recording {
  /** With what became of its files. */
  readonly finish: (state: CheckpointState) => Effect.Effect<void>
  /** In one step with the checkpoint that holds them. */
  readonly commit: (state: CheckpointState, checkpoint: Prepared) => Effect.Effect<void, Refused>
}

interface OnceRecorded {
  /** What the save records, where its caller still waits then; else `commitAlone` has what it saved. */
  readonly bySave: Recording
  /** The caller waits no longer; false where the save was first. */
  readonly stopWaiting: () => boolean
  /** It was recorded that something is saved nowhere yet: only after that may be recorded that it is. */
  readonly told: Effect.Effect<boolean>
}

/** A recording that is done once, by who comes first. */
export const once = (
  { commit, finish }: Recording,
  commitAlone: (checkpoint: Prepared) => Effect.Effect<void, Refused>,
): OnceRecorded => {
  const told = Deferred.unsafeMake<void>(FiberId.none)
  let recorded = false
  let waits = true
  const first = <E>(record: Effect.Effect<void, E>, otherwise: Effect.Effect<void, E>) =>
    Effect.suspend(() => {
      recorded = waits
      return waits ? record : Effect.zipRight(Deferred.await(told), otherwise)
    })
  return {
    bySave: {
      commit: (state, checkpoint) => first(commit(state, checkpoint), commitAlone(checkpoint)),
      finish: (state) => first(finish(state), Effect.void),
    },
    stopWaiting: () => {
      if (!recorded) waits = false
      return !recorded
    },
    told: Deferred.succeed(told, undefined),
  }
}
