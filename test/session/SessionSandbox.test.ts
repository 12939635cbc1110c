import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { ContainerId, SessionId } from "../../src/domain/Identity.ts"
import { Capacity } from "../../src/domain/SandboxError.ts"
import * as SessionSandbox from "../../src/session/SessionSandbox.ts"
import * as FakeSandbox from "../support/FakeSandbox.ts"
import * as MemoryRows from "../support/MemoryRows.ts"
import * as NoFiles from "../support/NoFiles.ts"

/** The sandbox of a session on a node whose containers are called 1, 2, … */
const make = (lost = false) => {
  const held = new Set<string>()
  let made = 0
  const sandboxes: SessionSandbox.SandboxSource = {
    make: Effect.suspend(() => {
      const id = ContainerId.make(String(++made))
      held.add(id)
      return Effect.as(Effect.yieldNow(), { ...FakeSandbox.make({}), id })
    }),
    holds: (id) => held.has(id),
    remove: (id) => Effect.sync(() => void held.delete(id)),
  }
  const memory = MemoryRows.make()
  const claim = { current: { ...MemoryRows.claim, lost } }
  const sandbox = SessionSandbox.make(
    SessionId.make(`s_${"1".repeat(32)}`),
    claim,
    sandboxes,
    memory.rows,
    NoFiles.make(),
  )
  return { ...sandbox, ...memory, claim, held, sandboxes, made: () => made }
}

describe("SessionSandbox", () => {
  it.effect("starts one sandbox for all calls that need it at once, and binds it first", () =>
    Effect.gen(function* () {
      const { acquire, bound, held } = make()
      const boxes = yield* Effect.all(
        Array.from({ length: 10 }, () => acquire(true)),
        {
          concurrency: "unbounded",
        },
      )
      assert.deepStrictEqual([...new Set(boxes.map(({ id }) => String(id)))], ["1"])
      assert.deepStrictEqual(bound, ["1"])
      assert.deepStrictEqual([...held], ["1"])
    }),
  )

  it.effect("removes a sandbox that it could not bind, because another node owns the session", () =>
    Effect.gen(function* () {
      const { acquire, exists, held, state } = make()
      state.epoch = 2
      assert.strictEqual((yield* Effect.flip(acquire(true)))._tag, "SessionMoved")
      assert.strictEqual(held.size, 0)
      assert.isFalse(exists())
    }),
  )

  it.effect("says once that a used sandbox is gone, and then starts a new one", () =>
    Effect.gen(function* () {
      const { acquire, bound, held } = make()
      yield* acquire(true)
      held.clear()
      assert.strictEqual((yield* Effect.flip(acquire(true)))._tag, "WorkspaceLost")
      assert.strictEqual((yield* acquire(true)).id, "2")
      assert.deepStrictEqual(bound, ["1", undefined, "2"])
    }),
  )

  it.effect("replaces one in which nothing was done without a word", () =>
    Effect.gen(function* () {
      const { acquire, held } = make()
      yield* acquire(false)
      held.clear()
      assert.strictEqual((yield* acquire(false)).id, "2")
    }),
  )

  it.effect("passes on once what an owner before it lost", () =>
    Effect.gen(function* () {
      const { acquire, state, made } = make(true)
      assert.strictEqual((yield* Effect.flip(acquire(false)))._tag, "WorkspaceLost")
      assert.strictEqual(made(), 0)
      assert.strictEqual(state.acknowledged, 1)
      assert.strictEqual((yield* acquire(false)).id, "1")
    }),
  )

  it.effect("drops a sandbox in which nothing was done, and keeps one in which something was", () =>
    Effect.gen(function* () {
      const unused = make()
      yield* unused.acquire(false)
      yield* unused.hibernate(() => true)
      assert.strictEqual(unused.held.size, 0)
      assert.deepStrictEqual(unused.bound, ["1", undefined])
      const used = make()
      yield* used.acquire(true)
      yield* used.acquire(false)
      yield* used.hibernate(() => true)
      assert.strictEqual(used.held.size, 1)
    }),
  )

  it.effect("starts anew after it was given up or removed", () =>
    Effect.gen(function* () {
      const { acquire, held, lose, remove } = make()
      const first = yield* acquire(true)
      yield* lose(first.id)
      const second = yield* acquire(true)
      yield* lose(first.id)
      assert.isTrue(held.has(second.id), "a second call that found the first one gone")
      yield* remove
      assert.strictEqual(held.size, 0)
      assert.strictEqual((yield* acquire(true)).id, "3")
    }),
  )

  it.effect("finishes the start of a sandbox whose caller went away, so that none is left over", () =>
    Effect.gen(function* () {
      const { acquire, bound, exists, held } = make()
      const caller = yield* Effect.fork(acquire(true))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(caller)
      assert.strictEqual(held.size, bound.at(-1) === undefined ? 0 : 1)
      assert.strictEqual(exists() ? 1 : 0, held.size)
    }),
  )

  it.effect("passes on that the node is full", () =>
    Effect.gen(function* () {
      const { claim, rows } = make()
      const full = SessionSandbox.make(
        SessionId.make(`s_${"1".repeat(32)}`),
        claim,
        {
          make: Effect.fail(new Capacity({ what: "sandboxes", limit: 1, setting: "MAX_SANDBOXES" })),
          holds: () => false,
          remove: () => Effect.void,
        },
        rows,
        NoFiles.make(),
      )
      assert.strictEqual((yield* Effect.flip(full.acquire(true)))._tag, "Capacity")
      assert.isFalse(full.exists())
    }),
  )
})
