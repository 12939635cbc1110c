/** How often a request is tried again, and for how long: until nobody has answered for `limitMs`. */
import { Effect } from "effect"
import { milliseconds } from "../../domain/Monotonic.ts"
import { Unreachable } from "./Upstream.ts"

export interface Patience {
  /** The cluster answers: the time begins anew. */
  readonly heard: Effect.Effect<void>
  /** Waits for the next try; fails with the problem once the time is over. */
  readonly again: (problem: Unreachable) => Effect.Effect<void, Unreachable>
  /** Lets something take the time that is left, and no more. */
  readonly bound: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Unreachable, R>
}

export const make = (limitMs: number) =>
  Effect.map(milliseconds, (start): Patience => {
    let heardAt = start
    let pause = shortest
    return {
      heard: Effect.map(milliseconds, (now) => {
        heardAt = now
        pause = shortest
      }),
      again: (problem) =>
        Effect.flatMap(milliseconds, (now) => {
          if (now + pause - heardAt > limitMs) return Effect.fail(problem)
          const wait = Effect.sleep(pause)
          pause = Math.min(pause * 1.5, longest)
          return wait
        }),
      bound: (effect) =>
        Effect.flatMap(milliseconds, (now) =>
          Effect.timeoutFail(effect, {
            duration: Math.max(0, limitMs - (now - heardAt)),
            onTimeout: () => new Unreachable({ problem: "it does not answer" }),
          }),
        ),
    }
  })

/** For how long a cluster may be silent, in milliseconds: at first less than clients wait for `initialize` (10 s). */
export const startMs = 8_000
export const answerMs = 60_000

/** In milliseconds. */
const shortest = 100
const longest = 2000
