/**
 * Whether this node may act for the sessions that it owns. Another node takes them over once this one's locks have
 * expired, whether or not this one has noticed: a process that was frozen goes on in the middle of what it did. So the
 * node counts its locks as lost a second before they are, by its own monotonic clock. Locks that are renewed after that
 * begin another term; what was claimed in an earlier one has to be claimed again.
 */
import { Context, Duration, Effect, Layer } from "effect"
import { settings } from "../Settings.ts"

/** Before the end of the locks' time. */
const margin = 1_000

/** How often the node looks whether its term is over, in milliseconds, where nothing else asks. */
const pause = 250

export class Lease extends Context.Tag("codegen-mcp/domain/Lease")<
  Lease,
  {
    /** The number of the term that lasts; undefined where none does. */
    readonly term: () => number | undefined
    /** The locks were renewed by something that began at this time of `performance.now`. */
    readonly renewed: (since: number) => void
    /** Calls `run` at the end of each term, until the function that it gives is called. */
    readonly onEnd: (run: () => void) => () => void
  }
>() {
  static readonly layer = Layer.scoped(
    Lease,
    Effect.gen(function* () {
      const expiry = Duration.toMillis(yield* settings.shardLockExpiration.config)
      const lease = make(Math.max(expiry - margin, expiry / 2), () => performance.now())
      yield* Effect.acquireRelease(
        Effect.sync(() => setInterval(() => lease.term(), pause)),
        (timer) => Effect.sync(() => clearInterval(timer)),
      )
      return lease
    }),
  )

  /** Of a node that shares its sessions with nobody. */
  static readonly layerEndless = Layer.succeed(Lease, {
    term: () => 1,
    renewed: () => undefined,
    onEnd: () => () => undefined,
  })
}

/** A lease whose terms last `lasts` milliseconds from their last renewal, by the clock `now`. */
export const make = (lasts: number, now: () => number): Lease["Type"] => {
  const ends = new Set<() => void>()
  let number = 0
  let renewedAt = -Infinity
  let isOver = true

  const term = () => {
    if (isOver) return undefined
    if (now() - renewedAt < lasts) return number
    isOver = true
    for (const end of ends) end()
    return undefined
  }

  return {
    term,
    renewed: (since) => {
      // What took longer than the term lasts has renewed nothing.
      if (now() - since >= lasts) return
      if (term() === undefined) {
        isOver = false
        number++
      }
      renewedAt = Math.max(renewedAt, since)
    },
    onEnd: (run) => {
      ends.add(run)
      return () => ends.delete(run)
    },
  }
}
