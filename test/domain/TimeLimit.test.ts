import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { timeLimit } from "../../src/domain/TimeLimit.ts"

const limited = timeLimit("20 millis", () => "late" as const)

describe("timeLimit", () => {
  it.live("ends what takes too long, also where nothing may be interrupted", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Effect.flip(limited(Effect.never)), "late")
      assert.strictEqual(yield* Effect.flip(Effect.uninterruptible(limited(Effect.never))), "late")
    }),
  )

  it.live("interrupts what it ended", () =>
    Effect.gen(function* () {
      const ended = yield* Deferred.make<void>()
      const endless = Effect.onInterrupt(Effect.never, () => Deferred.succeed(ended, undefined))
      yield* Effect.flip(Effect.uninterruptible(limited(endless)))
      yield* Deferred.await(ended)
    }),
  )

  it.live("gives back what comes in time, and what fails", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* limited(Effect.succeed(1)), 1)
      assert.deepStrictEqual(yield* Effect.exit(limited(Effect.fail("no"))), Exit.fail("no"))
    }),
  )

  it.live("lets an interrupt of its caller through only where the caller may be interrupted", () =>
    Effect.gen(function* () {
      const patient = timeLimit("10 seconds", () => "late")
      const done = yield* Deferred.make<string>()
      let acquired: string | undefined
      const acquire = Effect.tap(patient(Deferred.await(done)), (value) =>
        Effect.sync(() => (acquired = value)),
      )
      const acquiring = yield* Effect.fork(Effect.uninterruptible(acquire))
      const waiting = yield* Effect.fork(patient(Effect.never))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(waiting)
      yield* Fiber.interruptFork(acquiring)
      yield* Effect.yieldNow()
      yield* Deferred.succeed(done, "acquired")
      assert.isTrue(Exit.isInterrupted(yield* Fiber.await(waiting)))
      yield* Fiber.await(acquiring)
      assert.strictEqual(acquired, "acquired")
    }),
  )
})
