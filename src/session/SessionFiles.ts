/**
 * The files of one session beyond its sandbox: saved with the end of each operation that may have changed them, and
 * made anew in the next sandbox. One save at a time: whoever comes second has what the first one saved.
 */
import { Data, Deferred, type Duration, Effect } from "effect"
import type { ContainerId, SessionId } from "../domain/Identity.ts"
import type { SandboxLost } from "../domain/SandboxError.ts"
import {
  FilesReverted,
  type SessionClosed,
  type SessionMoved,
  type Unavailable,
  type UnknownTemplate,
} from "../domain/SessionError.ts"
import { timeLimit } from "../domain/TimeLimit.ts"
import type { Sandbox } from "../sandbox/Sandbox.ts"
import type { Template } from "../sandbox/Templates.ts"
import type { CheckpointState } from "../tools/Tool.ts"
import type { Prepared } from "../workspace/CheckpointRows.ts"
import {
  type CheckpointDamaged,
  type Checkpoints,
  NotRestored,
  NotSaved,
  type Place,
} from "../workspace/Checkpoints.ts"
import { once, type Recording } from "./Recording.ts"
import type { Claim, SessionRows } from "./SessionRows.ts"

/** Checkpoints that stand on each other, at most: a restore reads them all. */
const maxChain = 64

export interface SessionFiles {
  /** Brings the session's files into a new sandbox. */
  readonly enter: (
    sandbox: Sandbox,
  ) => Effect.Effect<
    void,
    FilesReverted | NotRestored | SandboxLost | SessionMoved | SessionClosed | Unavailable
  >
  /** Saves what the sandbox of an operation holds, if it had one, and records with it how the operation ended. */
  readonly end: (sandbox: Sandbox | undefined, record: Recording) => Effect.Effect<CheckpointState>
  /** Saves what the sandbox holds, as no operation's end. */
  readonly save: (sandbox: Sandbox) => Effect.Effect<void>
  /** Nothing is ever saved. */
  readonly isOff: boolean
  /** How it stands, as an answer says it. */
  readonly state: () => CheckpointState
  /** Something in the sandbox is saved nowhere, or not yet. */
  readonly isUnsaved: () => boolean
  /** Operations change something in the sandbox from now on. */
  readonly touch: () => void
  /** The sandbox is gone. */
  readonly leave: () => void
}

/** The answer does not wait any longer. */
class StillSaving extends Data.TaggedError("StillSaving") {}

/** With each operation's end; when somebody asks for it; never. */
type CheckpointMode = "call" | "interval" | "off"

export interface FilesContext {
  readonly session: SessionId
  /** What the session's owner claimed last. */
  readonly claim: { current: Claim }
  readonly rows: SessionRows["Type"]
  readonly checkpoints: Checkpoints["Type"]
  readonly template: Effect.Effect<Template, UnknownTemplate>
  /** When something is saved. */
  readonly mode: CheckpointMode
  /** How long an answer waits for that, where it waits. */
  readonly patience: Duration.Duration
}

export const make = ({
  session,
  claim,
  rows,
  checkpoints,
  template,
  mode,
  patience,
}: FilesContext): SessionFiles => {
  const isOff = mode === "off"
  const lock = Effect.unsafeMakeSemaphore(1)
  /** The sandbox that has the session's files. */
  let entered: ContainerId | undefined
  /** Where they stand there; unknown where a commit was not answered. */
  let place: Place | undefined
  /** Saves that wait or go on. */
  let saving = 0
  let unsaved = false
  let failure: string | undefined

  const standing = (): CheckpointState => {
    const { head } = claim.current
    if (isOff) return { state: "off" }
    if (failure !== undefined) return { state: "failed", reason: failure }
    if (unsaved) return { state: "pending" }
    return head === null ? { state: "unchanged" } : { state: "saved", id: String(head) }
  }

  const failed = (sandbox: Sandbox, reason: string) =>
    Effect.sync((): CheckpointState => {
      if (entered === sandbox.id) {
        unsaved = true
        failure = reason
      }
      return { state: "failed", reason }
    })

  const placeNow = Effect.suspend(() =>
    place === undefined
      ? Effect.map(checkpoints.newest(session), (newest) => (place = { ...newest, cursor: undefined }))
      : Effect.succeed(place),
  )

  /** At worst, something is said to be lost later that was not. */
  const settle = Effect.suspend(() =>
    unsaved ? Effect.ignore(rows.settle(session, claim.current.epoch)) : Effect.void,
  )

  const commitAlone = (checkpoint: Prepared) => rows.commit(session, claim.current.epoch, checkpoint)

  /** Saves and records; gives the state that was recorded, or `failed`, of which nothing is. */
  const save = (sandbox: Sandbox, { commit, finish }: Recording): Effect.Effect<CheckpointState> =>
    Effect.gen(function* () {
      if (entered !== sandbox.id) return yield* new NotSaved({ reason: "the sandbox is gone" })
      const { principal } = claim.current
      const saved = yield* checkpoints.save(principal, sandbox, yield* template, yield* placeNow)
      // Another owner, or another sandbox, goes on from what was saved before.
      if (entered !== sandbox.id) return yield* new NotSaved({ reason: "the sandbox is gone" })
      const { number } = saved.place
      const id = number === 0 ? {} : { id: String(number) }
      const { checkpoint } = saved
      const state: CheckpointState = { state: checkpoint === undefined ? "unchanged" : "saved", ...id }
      yield* checkpoint === undefined
        ? Effect.zipRight(finish(state), settle)
        : commit(state, checkpoint).pipe(
            Effect.retry({ while: ({ _tag }) => _tag === "Unavailable", times: 1 }),
            Effect.tapError(() => Effect.sync(() => (place = undefined))),
          )
      if (number > 0) claim.current = { ...claim.current, head: number }
      if (entered !== sandbox.id) return state
      place = saved.place
      unsaved = false
      failure = undefined
      return state
    }).pipe(
      Effect.retry({ while: ({ _tag }) => _tag === "CheckpointOutdated", times: 2 }),
      Effect.catchAll((error) => {
        const reason = error._tag === "NotSaved" ? error.reason : error.message
        return Effect.zipRight(
          Effect.logWarning("the files of a session were not saved", { session, reason }),
          failed(sandbox, reason),
        )
      }),
      Effect.catchAllDefect((defect) =>
        Effect.zipRight(
          Effect.logError("the files of a session were not saved", defect),
          failed(sandbox, "an internal error"),
        ),
      ),
    )

  const compact = Effect.suspend(() => {
    if (place === undefined || place.number - place.base < maxChain) return Effect.void
    const { cursor, number } = place
    return Effect.flatMap(checkpoints.compact(claim.current.principal, session, number), (checkpoint) =>
      checkpoint === undefined
        ? Effect.void
        : Effect.map(commitAlone(checkpoint), () => {
            place = { number: checkpoint.number, base: checkpoint.base, cursor }
            claim.current = { ...claim.current, head: checkpoint.number }
          }),
    )
  }).pipe(
    Effect.catchAll((error) =>
      Effect.zipRight(
        Effect.sync(() => (place = undefined)),
        Effect.logWarning("a session's checkpoints were not brought together", { session, why: error._tag }),
      ),
    ),
  )

  /** Goes on from an older checkpoint, which its caller is told. */
  const goBack = Effect.fnUntraced(function* (damaged: CheckpointDamaged) {
    const { checkpoint, from } = yield* checkpoints.salvage(claim.current.principal, session, damaged)
    yield* commitAlone(checkpoint).pipe(
      Effect.catchTag(
        "CheckpointOutdated",
        () => new NotRestored({ checkpoint: from, reason: "it changed" }),
      ),
    )
    claim.current = { ...claim.current, head: checkpoint.number }
    yield* Effect.logError("the newest checkpoint of a session is damaged", { session, ...damaged, from })
    return yield* new FilesReverted({ damaged: damaged.checkpoint, checkpoint: from })
  })

  const isUnsaved = () => unsaved || saving > 0

  /** The sandbox is known to hold what is saved. */
  const isSaved = ({ files, id }: Sandbox) =>
    entered === id && !isUnsaved() && files.isStill(place?.cursor ?? "")

  return {
    enter: (sandbox) =>
      Effect.gen(function* () {
        unsaved = false
        failure = undefined
        // A commit that was not answered may have been done.
        const { number } = yield* checkpoints.newest(session)
        place =
          number === 0
            ? { number, base: 0, cursor: undefined }
            : yield* checkpoints
                .restore(claim.current.principal, session, number, sandbox)
                .pipe(Effect.catchTag("CheckpointDamaged", goBack))
        if (number > 0) claim.current = { ...claim.current, head: number }
        entered = sandbox.id
        // What is saved of the sandbox before is there first.
      }).pipe(lock.withPermits(1)),

    end: Effect.fnUntraced(function* (sandbox, record) {
      const { finish } = record
      if (sandbox !== undefined && mode === "interval") unsaved = true
      if (sandbox === undefined || mode !== "call") {
        const state = standing()
        yield* finish(state)
        return state
      }
      if (isSaved(sandbox)) {
        const state: CheckpointState = { ...standing(), state: "unchanged" }
        yield* finish(state)
        return state
      }
      const result = yield* Deferred.make<CheckpointState>()
      const { bySave, stopWaiting, told } = once(record, commitAlone)
      saving++
      yield* save(sandbox, bySave).pipe(
        Effect.intoDeferred(result),
        Effect.zipRight(compact),
        lock.withPermits(1),
        Effect.ensuring(Effect.sync(() => saving--)),
        Effect.forkDaemon,
      )
      const answer = Deferred.await(result).pipe(
        timeLimit(patience, () => new StillSaving()),
        Effect.catchTag("StillSaving", () =>
          Effect.suspend((): Effect.Effect<CheckpointState> => {
            if (!stopWaiting()) return Deferred.await(result)
            unsaved = true
            return Effect.succeed({ state: "pending" })
          }),
        ),
      )
      return yield* answer.pipe(
        Effect.tap((state) =>
          state.state === "pending" || state.state === "failed" ? finish(state) : Effect.void,
        ),
        Effect.ensuring(told),
      )
    }),

    save: (sandbox) =>
      isOff
        ? Effect.void
        : Effect.asVoid(
            save(sandbox, { commit: (_, checkpoint) => commitAlone(checkpoint), finish: () => Effect.void }),
          ).pipe(lock.withPermits(1)),

    isOff,
    state: standing,
    isUnsaved,
    touch: () => {
      if (isOff) unsaved = true
    },
    leave: () => {
      entered = undefined
      place = undefined
      unsaved = false
      failure = undefined
    },
  }
}
