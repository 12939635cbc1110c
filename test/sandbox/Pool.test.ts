import { assert, describe, it } from "@effect/vitest"
import { type Duration, Effect, Exit, Fiber, Scope, TestClock } from "effect"
import * as Pool from "../../src/sandbox/Pool.ts"

/** A pool of numbers, 1, 2, …; each takes so long to start. */
const pool = (least: number, most: number, startTime: Duration.DurationInput = 0) =>
  Effect.gen(function* () {
    const dead = new Set<number>()
    const frozen = new Set<number>()
    const dropped: Array<number> = []
    const failures: Array<string> = []
    const state = { launched: 0, failing: false, starting: 0, most: 0 }
    const made = yield* Pool.make({
      least,
      most,
      launch: Effect.gen(function* () {
        if (state.failing) return yield* Effect.fail("full" as const)
        state.most = Math.max(state.most, ++state.starting)
        yield* Effect.sleep(startTime)
        state.starting--
        return ++state.launched
      }),
      isUsable: (one) => !dead.has(one),
      answers: (one) => Effect.sync(() => !frozen.has(one)),
      drop: (one) => Effect.sync(() => void dropped.push(one)),
      failed: (error) => Effect.sync(() => void failures.push(error)),
    })
    return { ...made, dead, frozen, dropped, failures, state }
  })

/** Lets the pool do what it does at once. */
const settle = TestClock.adjust("5 seconds")

describe("Pool", () => {
  it.scoped("starts as many as it has at least before anybody asks, one after another", () =>
    Effect.gen(function* () {
      const { state, status } = yield* pool(3, 5, "100 millis")
      yield* settle
      assert.deepStrictEqual(status(), { ready: 3, size: 3, hits: 0, misses: 0 })
      assert.strictEqual(state.most, 1)
    }),
  )

  it.scoped("gives those that are ready, the oldest first, and replaces them", () =>
    Effect.gen(function* () {
      const { status, take } = yield* pool(2, 5)
      yield* settle
      assert.deepStrictEqual([yield* take, yield* take], [1, 2])
      yield* settle
      assert.deepStrictEqual(status(), { ready: 2, size: 2, hits: 2, misses: 0 })
      assert.strictEqual(yield* take, 3)
    }),
  )

  it.scoped("starts one for whoever finds none ready, and grows: by double, to its bound", () =>
    Effect.gen(function* () {
      const { status, take } = yield* pool(0, 6)
      const sizes: Array<number> = []
      for (let round = 0; round < 4; round++) {
        const { ready } = status()
        yield* Effect.replicateEffect(take, ready + 1)
        sizes.push(status().size)
        yield* settle
        assert.strictEqual(status().ready, status().size)
      }
      assert.deepStrictEqual(sizes, [1, 2, 4, 6])
      assert.strictEqual(status().misses, 4)
    }),
  )

  it.scoped("has none where it may have none", () =>
    Effect.gen(function* () {
      const { state, status, take } = yield* pool(0, 0)
      yield* settle
      assert.strictEqual(yield* take, 1)
      yield* settle
      assert.deepStrictEqual([status().ready, status().size, state.launched], [0, 0, 1])
    }),
  )

  it.scoped("gives one up for each quiet minute, down to its least", () =>
    Effect.gen(function* () {
      const { dropped, status, take } = yield* pool(1, 8)
      yield* settle
      yield* Effect.replicateEffect(take, 4)
      yield* settle
      assert.strictEqual(status().size, 8)
      yield* TestClock.adjust("130 seconds")
      assert.deepStrictEqual([status().size, status().ready, dropped.length], [6, 6, 2])
      yield* TestClock.adjust("20 minutes")
      assert.deepStrictEqual([status().size, status().ready], [1, 1])
    }),
  )

  it.scoped("replaces one that died while it waited, and gives nobody a dead one", () =>
    Effect.gen(function* () {
      const { dead, status, take, takeIfReady } = yield* pool(2, 2)
      yield* settle
      dead.add(1)
      assert.strictEqual(yield* take, 2)
      dead.add(3)
      yield* settle
      assert.strictEqual(status().ready, 2)
      assert.deepStrictEqual((yield* takeIfReady)._tag, "Some")
      for (const one of [yield* take, yield* take]) assert.isFalse(dead.has(one))
    }),
  )

  it.scoped("gives nobody one that does not answer, and drops it", () =>
    Effect.gen(function* () {
      const { dropped, frozen, status, take } = yield* pool(3, 3)
      yield* settle
      frozen.add(1).add(2)
      assert.strictEqual(yield* take, 3)
      yield* settle
      assert.deepStrictEqual([dropped, status().ready, status().misses], [[1, 2], 3, 0])
    }),
  )

  it.scoped("does not refill while a caller waits for a start of its own", () =>
    Effect.gen(function* () {
      const { state, take } = yield* pool(0, 4, "10 seconds")
      const callers = yield* Effect.fork(Effect.replicateEffect(take, 3, { concurrency: "unbounded" }))
      yield* TestClock.adjust("9 seconds")
      assert.strictEqual(state.starting, 3)
      yield* TestClock.adjust("1 seconds")
      assert.sameMembers(yield* Fiber.join(callers), [1, 2, 3])
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(state.starting, 1)
    }),
  )

  it.scoped("lets nobody wait for a refill: whoever comes meanwhile starts one at once", () =>
    Effect.gen(function* () {
      const { state, take } = yield* pool(1, 4, "10 seconds")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(state.starting, 1)
      const caller = yield* Effect.fork(take)
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(state.starting, 2)
      yield* TestClock.adjust("9 seconds")
      yield* Fiber.join(caller)
    }),
  )

  it.scoped("tries again, ever more seldom, where a start fails, says so, and tells a caller why", () =>
    Effect.gen(function* () {
      const { failures, state, status, take } = yield* pool(2, 4)
      state.failing = true
      yield* settle
      assert.strictEqual(status().ready, 0)
      assert.strictEqual(yield* Effect.flip(take), "full")
      yield* TestClock.adjust("1 hours")
      assert.isAbove(failures.length, 100)
      assert.isBelow(failures.length, 300)
      state.failing = false
      yield* TestClock.adjust("1 minutes")
      assert.strictEqual(status().ready, status().size)
    }),
  )

  it.effect("starts nothing any more once its scope is closed", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { state, take } = yield* Scope.extend(pool(1, 4), scope)
      yield* settle
      yield* Scope.close(scope, Exit.void)
      yield* take
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(state.launched, 1)
    }),
  )
})
