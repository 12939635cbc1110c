/**
 * Sandboxes of one template that are started before anybody asks, so that most sessions find one ready. A miss
 * doubles the pool's size, a quiet minute takes one away; both within bounds. It is refilled by one at a time, and
 * not while a caller waits for a start of its own. The scope given to `make` ends the refilling.
 */
import { Effect, Either, Option, Queue, type Scope } from "effect"
import { milliseconds } from "../domain/Monotonic.ts"

export interface PoolStatus {
  readonly ready: number
  /** How many the pool would have now. */
  readonly size: number
  /** Takers who found one ready, and who did not, since the node's start. */
  readonly hits: number
  readonly misses: number
}

export interface Pool<A, E> {
  /** One that is ready, or else one that is started for the caller. */
  readonly take: Effect.Effect<A, E>
  readonly takeIfReady: Effect.Effect<Option.Option<A>>
  readonly status: () => PoolStatus
}

export interface PoolOptions<A, E> {
  readonly least: number
  readonly most: number
  readonly launch: Effect.Effect<A, E>
  /** Whether one that waits still lives, as far as is known. */
  readonly isUsable: (waiting: A) => boolean
  /** Whether one that is to be given away answers. */
  readonly answers: (waiting: A) => Effect.Effect<boolean>
  readonly drop: (spare: A) => Effect.Effect<void>
  /** Is told of a start that nobody waited for and that failed; the next one is tried later and later. */
  readonly failed: (error: E) => Effect.Effect<void>
}

export const make = <A, E>({
  least,
  most,
  launch,
  isUsable,
  answers,
  drop,
  failed,
}: PoolOptions<A, E>): Effect.Effect<Pool<A, E>, never, Scope.Scope> =>
  Effect.gen(function* () {
    let ready: Array<A> = []
    let size = least
    let waiting = 0
    let hits = 0
    let misses = 0
    let quietSince = yield* milliseconds
    /** After the next start that fails. */
    let rest = pause
    const looks = yield* Queue.dropping<void>(1)
    const refill = Queue.offer(looks, undefined)

    const takeIfReady = Effect.sync(() => {
      ready = ready.filter(isUsable)
      return Option.fromNullable(ready.shift())
    })

    const take = Effect.gen(function* () {
      for (;;) {
        const found = yield* takeIfReady
        if (Option.isNone(found)) break
        if (yield* answers(found.value)) {
          hits++
          yield* refill
          return found.value
        }
        yield* Effect.forkDaemon(drop(found.value))
      }
      misses++
      size = Math.min(most, Math.max(1, size * 2))
      quietSince = yield* milliseconds
      waiting++
      return yield* Effect.ensuring(
        launch,
        Effect.suspend(() => {
          waiting--
          return refill
        }),
      )
    })

    const round = Effect.gen(function* () {
      // Whoever takes asks for a look; without takers there is one each second, for those that were lost.
      yield* Effect.timeoutOption(Queue.take(looks), pause)
      const now = yield* milliseconds
      if (now - quietSince > quiet && size > least) {
        size--
        quietSince = now
      }
      ready = ready.filter(isUsable)
      for (const spare of ready.splice(size)) yield* drop(spare)
      if (ready.length === size || waiting > 0) return
      const made = yield* Effect.either(launch)
      if (Either.isLeft(made)) {
        yield* failed(made.left)
        yield* Effect.sleep(rest)
        rest = Math.min(rest * 2, longestPause)
      } else {
        ready.push(made.right)
        rest = pause
        yield* refill
      }
    })
    yield* Effect.forkScoped(Effect.interruptible(Effect.forever(round)))

    return {
      take,
      takeIfReady,
      status: () => ({ ready: ready.length, size, hits, misses }),
    }
  })

/** In milliseconds. */
const pause = 1_000
const longestPause = 16_000
const quiet = 60_000
