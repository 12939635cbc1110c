/** A limit on time that also holds where the caller may not be interrupted: in finalizers, and while it acquires. */
import { Duration, Effect, Fiber } from "effect"

/**
 * Fails with `onTimeout` after `limit`, and interrupts `effect` then. `Effect.timeout` waits for an effect that may
 * not be interrupted, and marking that interruptible would let an interrupt of the caller through.
 */
export const timeLimit =
  <E2>(limit: Duration.DurationInput, onTimeout: () => E2) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | E2, R> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.forkDaemon(Effect.interruptible(effect)), (fiber) =>
        restore(
          Effect.async<A, E | E2>((resume) => {
            const timer = setTimeout(() => {
              fiber.unsafeInterruptAsFork(fiber.id())
              resume(Effect.fail(onTimeout()))
            }, Duration.toMillis(limit))
            fiber.addObserver((exit) => {
              clearTimeout(timer)
              resume(exit)
            })
            return Effect.zipRight(
              Effect.sync(() => clearTimeout(timer)),
              Fiber.interrupt(fiber),
            )
          }),
        ),
      ),
    )
