/**
 * The one sandbox of a session, started when a call first needs it, with the session's files. A sandbox that is gone,
 * with something in it that was saved nowhere, is reported once, by `WorkspaceLost` to a call that is not run; the next
 * call starts a new one.
 */
import { Effect } from "effect"
import type { ContainerId, SessionId } from "../domain/Identity.ts"
import type { Capacity, SandboxError } from "../domain/SandboxError.ts"
import { type UnknownTemplate, WorkspaceLost } from "../domain/SessionError.ts"
import type { Sandbox } from "../sandbox/Sandbox.ts"
import type { Sandboxes } from "../sandbox/Sandboxes.ts"
import type { OwnerCall } from "../tools/Tool.ts"
import type { SessionFiles } from "./SessionFiles.ts"
import type { Claim, SessionRows } from "./SessionRows.ts"

/** The node's sandboxes, as one session uses them. */
export interface SandboxSource extends Pick<Sandboxes["Type"], "holds" | "remove"> {
  /** A new one, made by the session's template. */
  readonly make: Effect.Effect<Sandbox, SandboxError | Capacity | UnknownTemplate>
}

export interface SessionSandbox {
  /** The sandbox; `changes` says that the caller may leave something in it. */
  readonly acquire: (changes: boolean) => OwnerCall["sandbox"]
  /** Whether there is one that this node still holds. */
  readonly exists: () => boolean
  /** The one that this node still holds. */
  readonly current: () => Sandbox | undefined
  /** The container of the sandbox that the session had last. */
  readonly container: () => ContainerId | undefined
  /** Gives up the sandbox if it turned out to be gone, after its caller was told. */
  readonly lose: (id: ContainerId) => Effect.Effect<void>
  /** Whether there is one that a new one can take the place of: nothing was done in it, or all of that is saved. */
  readonly isSpare: () => boolean
  /** Whether there is one in which nothing was ever done. */
  readonly isUnused: () => boolean
  /** Removes a sandbox that is spare, as long as `isIdle`: the session sleeps until its next call. */
  readonly hibernate: (isIdle: () => boolean) => Effect.Effect<void>
  readonly remove: Effect.Effect<void>
}

/** `claim` is what the session's owner claimed last. */
export const make = (
  id: SessionId,
  claim: { current: Claim },
  sandboxes: SandboxSource,
  rows: SessionRows["Type"],
  files: Pick<SessionFiles, "enter" | "leave" | "save" | "isUnsaved" | "isOff" | "touch">,
): SessionSandbox => {
  const lock = Effect.unsafeMakeSemaphore(1)
  let sandbox: Sandbox | undefined
  let used = false

  const remove = Effect.suspend(() => {
    const gone = sandbox
    sandbox = undefined
    used = false
    files.leave()
    return gone === undefined ? Effect.void : sandboxes.remove(gone.id)
  })

  const unbind = Effect.suspend(() => rows.bind(id, claim.current.epoch, undefined))

  const giveUp = Effect.zipRight(remove, Effect.ignore(unbind))

  const prepare = Effect.fnUntraced(
    function* (changes: boolean) {
      if (sandbox !== undefined && !sandboxes.holds(sandbox.id)) {
        const lost = files.isUnsaved()
        yield* unbind
        yield* remove
        if (lost) return yield* new WorkspaceLost({ checkpoint: claim.current.head })
      }
      if (claim.current.lost) {
        yield* rows.acknowledgeLoss(id, claim.current.epoch)
        claim.current = { ...claim.current, lost: false }
        return yield* new WorkspaceLost({ checkpoint: claim.current.head })
      }
      if (sandbox === undefined) {
        const made = yield* sandboxes.make
        yield* rows
          .bind(id, claim.current.epoch, made.id)
          .pipe(Effect.onError(() => sandboxes.remove(made.id)))
        yield* files
          .enter(made)
          .pipe(Effect.onError(() => Effect.zipRight(sandboxes.remove(made.id), Effect.ignore(unbind))))
        sandbox = made
      }
      use(changes)
      return sandbox
    },
    Effect.uninterruptible,
    lock.withPermits(1),
  )

  const use = (changes: boolean) => {
    used ||= changes
    if (changes) files.touch()
  }

  const current = () => (sandbox !== undefined && sandboxes.holds(sandbox.id) ? sandbox : undefined)

  const isSpare = () => sandbox !== undefined && (!used || (!files.isOff && !files.isUnsaved()))

  const acquire: SessionSandbox["acquire"] = (changes) =>
    Effect.suspend(() => {
      const ready = claim.current.lost ? undefined : current()
      if (ready === undefined) return prepare(changes)
      use(changes)
      return Effect.succeed(ready)
    })

  return {
    acquire,
    exists: () => current() !== undefined,
    current,
    container: () => sandbox?.id,
    // Another call may have found it gone before, and the sandbox be a new one by now.
    lose: (id) => Effect.suspend(() => (sandbox?.id === id ? giveUp : Effect.void)).pipe(lock.withPermits(1)),
    isUnused: () => sandbox !== undefined && !used,
    isSpare,
    hibernate: (isIdle) =>
      Effect.suspend(() => {
        const live = current()
        // What a program in the background has written by now.
        return live === undefined || !used ? Effect.void : files.save(live)
      }).pipe(
        Effect.zipRight(Effect.suspend(() => (isSpare() && isIdle() ? giveUp : Effect.void))),
        lock.withPermits(1),
      ),
    remove: remove.pipe(lock.withPermits(1)),
  }
}
