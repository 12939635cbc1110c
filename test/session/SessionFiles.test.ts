import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber } from "effect"
import { ContainerId, Principal, SessionId } from "../../src/domain/Identity.ts"
import * as SessionFiles from "../../src/session/SessionFiles.ts"
import type { CheckpointState } from "../../src/tools/Tool.ts"
import type { Prepared } from "../../src/workspace/CheckpointRows.ts"
import type { Saved } from "../../src/workspace/Checkpoints.ts"
import * as FakeSandbox from "../support/FakeSandbox.ts"
import * as MemoryRows from "../support/MemoryRows.ts"

const session = SessionId.make(`s_${"1".repeat(32)}`)

const box = (id: string) => ({ ...FakeSandbox.make({}), id: ContainerId.make(id) })

const prepared = (number: number): Prepared => ({
  token: `token ${number}`,
  principal: Principal.make("local"),
  number,
  base: 1,
  changes: Buffer.alloc(0),
  pieces: new Set(),
  places: [],
  pack: undefined,
})

/** Files of which each save waits for `release`, and finds something new. */
const make = (patienceMs = 10_000, mode: "call" | "interval" = "call") =>
  Effect.gen(function* () {
    const release = yield* Deferred.make<void>()
    const memory = MemoryRows.make()
    const claim = { current: MemoryRows.claim }
    const committed: Array<number> = []
    const told: Array<CheckpointState> = []
    const files = SessionFiles.make({
      session,
      claim,
      rows: { ...memory.rows, commit: (_, __, { number }) => Effect.sync(() => void committed.push(number)) },
      checkpoints: {
        save: (_, __, ___, since) =>
          Effect.as(Deferred.await(release), {
            checkpoint: prepared(since.number + 1),
            place: { number: since.number + 1, base: 1, cursor: "cursor" },
          } satisfies Saved),
        restore: (_, __, number) => Effect.succeed({ number, base: 1, cursor: "restored" }),
        compact: () => Effect.succeed(undefined),
        salvage: () => Effect.dieMessage("nothing is damaged in this test"),
        newest: () => Effect.succeed({ number: committed.at(-1) ?? 0, base: 1 }),
      },
      template: Effect.succeed(FakeSandbox.call(Effect.die("none")).template),
      mode,
      patience: Duration.millis(patienceMs),
    })
    const recording = {
      finish: (state: CheckpointState) => Effect.sync(() => void told.push(state)),
      commit: (state: CheckpointState, { number }: Prepared) =>
        Effect.sync(() => {
          committed.push(number)
          told.push(state)
        }),
    }
    return { ...files, release: Deferred.succeed(release, undefined), committed, told, recording, claim }
  })

describe("SessionFiles", () => {
  it.live("are asked for after a command that may have changed them, and not where nothing has", () =>
    Effect.gen(function* () {
      const { claim, committed, end, enter, recording, release, told } = yield* make()
      yield* release
      let stillAt = "none"
      const one = box("one")
      const sandbox = { ...one, files: { ...one.files, isStill: (cursor: string) => cursor === stillAt } }
      yield* enter(sandbox)
      assert.deepStrictEqual(yield* end(sandbox, recording), { state: "saved", id: "1" })
      stillAt = "cursor"
      assert.deepStrictEqual(yield* end(sandbox, recording), { state: "unchanged", id: "1" })
      assert.deepStrictEqual(yield* end(box("two"), recording), {
        state: "failed",
        reason: "the sandbox is gone",
      })
      stillAt = "another"
      assert.deepStrictEqual(yield* end(sandbox, recording), { state: "saved", id: "2" })
      assert.deepStrictEqual(committed, [1, 2])
      assert.strictEqual(claim.current.head, 2)
      assert.deepStrictEqual(
        told.map(({ state }) => state),
        ["saved", "unchanged", "failed", "saved"],
      )
    }),
  )

  it.live("are not said to be saved where the operation's sandbox has gone, or another taken its place", () =>
    Effect.gen(function* () {
      const { committed, end, enter, leave, recording, release, told } = yield* make()
      yield* release
      yield* enter(box("one"))
      assert.deepInclude(yield* end(box("one"), recording), { state: "saved", id: "1" })
      leave()
      assert.deepInclude(yield* end(box("one"), recording), {
        state: "failed",
        reason: "the sandbox is gone",
      })
      yield* enter(box("two"))
      assert.deepInclude(yield* end(box("one"), recording), { state: "failed" })
      assert.deepStrictEqual(committed, [1])
      assert.deepStrictEqual(
        told.map(({ state }) => state),
        ["saved", "failed", "failed"],
      )
      assert.deepInclude(yield* end(box("two"), recording), { state: "saved", id: "2" })
    }),
  )

  it.live("of a sandbox that is given up while they are saved are not committed over its successor's", () =>
    Effect.gen(function* () {
      const { committed, end, enter, leave, recording, release } = yield* make()
      yield* enter(box("one"))
      const ended = yield* Effect.fork(end(box("one"), recording))
      yield* Effect.sleep(20)
      leave()
      const entering = yield* Effect.fork(enter(box("two")))
      yield* release
      assert.deepInclude(yield* Fiber.join(ended), { state: "failed" })
      yield* Fiber.join(entering)
      assert.deepStrictEqual(committed, [])
    }),
  )

  it.live(
    "that take long are answered as pending, count as unsaved until then, and are saved all the same",
    () =>
      Effect.gen(function* () {
        const { committed, end, enter, isUnsaved, recording, release, state, told } = yield* make(50)
        yield* enter(box("one"))
        assert.deepStrictEqual(yield* end(box("one"), recording), { state: "pending" })
        assert.isTrue(isUnsaved())
        yield* release
        while (isUnsaved()) yield* Effect.sleep(5)
        assert.deepStrictEqual(committed, [1])
        assert.deepStrictEqual(state(), { state: "saved", id: "1" })
        assert.deepStrictEqual(told, [{ state: "pending" }])
      }),
  )

  it.live("are recorded as saved only after it was recorded that they are not", () =>
    Effect.gen(function* () {
      const { committed, end, enter, recording, release } = yield* make(50)
      const recorded: Array<string> = []
      const finish = ({ state }: CheckpointState) =>
        Effect.delay(
          Effect.sync(() => recorded.push(state)),
          "100 millis",
        )
      yield* enter(box("one"))
      const ended = yield* Effect.fork(end(box("one"), { ...recording, finish }))
      yield* Effect.sleep(80)
      yield* release
      while (committed.length === 0) yield* Effect.sleep(1)
      assert.deepStrictEqual(recorded, ["pending"])
      assert.deepStrictEqual(yield* Fiber.join(ended), { state: "pending" })
    }),
  )

  it.live("are saved after one whose caller went away as it was told to wait", () =>
    Effect.gen(function* () {
      const { committed, end, enter, recording, release } = yield* make(50)
      yield* enter(box("one"))
      const left = yield* Effect.fork(end(box("one"), { ...recording, finish: () => Effect.never }))
      yield* Effect.sleep(80)
      yield* Fiber.interrupt(left)
      yield* release
      while (committed.length === 0) yield* Effect.sleep(1)
      assert.deepInclude(yield* end(box("one"), recording), { state: "saved", id: "2" })
    }),
  )

  it.live("wait for somebody to save them where they are saved at an interval", () =>
    Effect.gen(function* () {
      const { committed, end, enter, isUnsaved, recording, release, save, state, told } = yield* make(
        10_000,
        "interval",
      )
      yield* release
      yield* enter(box("one"))
      assert.deepStrictEqual(yield* end(box("one"), recording), { state: "pending" })
      assert.deepStrictEqual([committed, isUnsaved()], [[], true])
      yield* save(box("one"))
      assert.deepStrictEqual([committed, isUnsaved(), state()], [[1], false, { state: "saved", id: "1" }])
      assert.deepStrictEqual(told, [{ state: "pending" }])
    }),
  )
})
