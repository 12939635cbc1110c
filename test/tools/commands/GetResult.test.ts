import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import { OperationId } from "../../../src/domain/Identity.ts"
import { cancelled, type Outcome } from "../../../src/domain/Operation.ts"
import { getResult } from "../../../src/tools/commands/GetResult.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"

const operation_id = OperationId.make("o_2")

const get = (end: Effect.Effect<Outcome | undefined>, wait_ms?: number) =>
  getResult.handler(
    { operation_id, ...(wait_ms === undefined ? {} : { wait_ms }) },
    { ...FakeSandbox.call(Effect.dieMessage("no sandbox is needed")), endOf: () => end },
  )

describe("GetResult", () => {
  it.effect("gives what the call answered, with how it ended", () =>
    Effect.gen(function* () {
      const output = { passed: false }
      const answer = yield* get(Effect.succeed({ _tag: "Answered", state: "timed_out", output }))
      assert.deepEqual(answer, { operation_id, status: "timed_out", result: output })
    }),
  )

  it.effect("gives the failure of a call that has no answer", () =>
    Effect.gen(function* () {
      const outcome = cancelled(operation_id)
      assert.deepEqual(yield* get(Effect.succeed(outcome)), {
        operation_id,
        status: "cancelled",
        failure: outcome._tag === "Failed" ? outcome.failure : undefined,
      })
    }),
  )

  it.effect("waits for as long as it is asked to, and then says that the call goes on", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.fork(get(Effect.never, 5000))
      yield* TestClock.adjust("4999 millis")
      assert.isNull(fiber.unsafePoll())
      yield* TestClock.adjust("1 millis")
      assert.deepEqual(yield* Fiber.join(fiber), { operation_id, status: "running" })
    }),
  )

  it.effect("says that nothing is known of a call that the session never had", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(get(Effect.succeed(undefined)))
      assert.equal(error._tag, "NoSuchOperation")
    }),
  )
})
