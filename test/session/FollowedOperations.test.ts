/** Operations that end with the request of their caller, whose node may be lost. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Schema, TestClock } from "effect"
import { ConnectionId, NodeId, OperationId, SessionId } from "../../src/domain/Identity.ts"
import type { Operation } from "../../src/domain/Operation.ts"
import { clientOf } from "../../src/session/OperationClient.ts"
import * as Operations from "../../src/session/Operations.ts"
import * as Registry from "../../src/tools/Registry.ts"
import { ownerTool } from "../../src/tools/Tool.ts"
import * as FakeSandbox from "../support/FakeSandbox.ts"
import * as MemoryRows from "../support/MemoryRows.ts"
import * as NoFiles from "../support/NoFiles.ts"

const connection = ConnectionId.make(`c_${"1".repeat(32)}`)
const id = OperationId.make("a")

const shape = {
  title: "",
  description: "",
  input: Schema.Struct({}),
  output: Schema.Struct({ fine: Schema.Boolean }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  changes: true,
}

/** One that never ends, one that can say how it stands, and one that asks first. */
const tools = Registry.of(
  [
    ownerTool({ ...shape, name: "endless", handler: () => Effect.never }),
    ownerTool({
      ...shape,
      name: "partial",
      handler: () => Effect.never,
      partial: { waitMs: () => 1000, answer: () => Effect.succeed({ fine: true }) },
    }),
    ownerTool({
      ...shape,
      name: "asking",
      handler: (_, { ask }) =>
        Effect.zipRight(Effect.ignore(ask({ kind: "elicitation", params: {} })), Effect.never),
    }),
  ],
  [],
)

const operation = (tool: string, more: Partial<Operation> = {}): Operation => ({
  id,
  tool,
  input: {},
  edgeNode: NodeId.make("edge"),
  origin: { connection, request: 1, questions: ["elicitation"] },
  isFollowed: true,
  ...more,
})

/** Operations of a session that nothing may be heard of for 10 s. */
const make = () => {
  const { operations: rows, ...memory } = MemoryRows.make()
  const call = FakeSandbox.call(Effect.dieMessage("no sandbox"))
  const reached = { is: true }
  const operations: Operations.Operations = Operations.make({
    session: SessionId.make(`s_${"1".repeat(32)}`),
    claim: { current: MemoryRows.claim },
    rows: memory.rows,
    files: NoFiles.make(),
    sandbox: () => undefined,
    commands: call.commands,
    callOf: (_, operation) => Effect.succeed({ ...call, ...clientOf(operations, operation) }),
    find: tools.find,
    patience: Duration.minutes(1),
    expiry: Duration.seconds(10),
    isReached: () => reached.is,
    onLost: () => Effect.void,
  })
  const isRunning = () => operations.running().length > 0
  return { ...operations, isRunning, reached, state: () => rows.get(id)?.outcome?.state }
}

describe("Followed operations", () => {
  it.effect("are cancelled once nothing is heard of those that wait for them, and not before", () =>
    Effect.gen(function* () {
      const { begin, follow, isRunning, state } = make()
      yield* begin(operation("endless"))
      for (let seconds = 0; seconds < 60; seconds += 3) {
        yield* TestClock.adjust("3 seconds")
        follow(id)
      }
      yield* TestClock.adjust("10 seconds")
      assert.isTrue(isRunning())
      yield* TestClock.adjust("2 seconds")
      assert.isFalse(isRunning())
      assert.strictEqual(state(), "cancelled")
    }),
  )

  it.effect("go on where they are begun again, or their client repeats them with its answer", () =>
    Effect.gen(function* () {
      const { begin, isRunning, resume } = make()
      yield* begin(operation("endless"))
      yield* TestClock.adjust("9 seconds")
      yield* begin(operation("endless"))
      yield* TestClock.adjust("9 seconds")
      yield* Effect.fork(resume(connection, id, 0, 0, "again"))
      yield* TestClock.adjust("9 seconds")
      assert.isTrue(isRunning())
      yield* TestClock.adjust("3 seconds")
      assert.isFalse(isRunning())
    }),
  )

  it.effect("go on while the session cannot be reached, however long that takes", () =>
    Effect.gen(function* () {
      const { begin, isRunning, reached } = make()
      yield* begin(operation("endless"))
      yield* TestClock.adjust("9 seconds")
      reached.is = false
      yield* TestClock.adjust("1 minute")
      reached.is = true
      yield* TestClock.adjust("10 seconds")
      assert.isTrue(isRunning())
      yield* TestClock.adjust("2 seconds")
      assert.isFalse(isRunning())
    }),
  )

  it.effect("go on once their caller was told how they stand", () =>
    Effect.gen(function* () {
      const { begin, isRunning, page } = make()
      yield* begin(operation("partial", { answerMs: 1000 }))
      const standing = yield* Effect.fork(page(id, undefined, 2000))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(standing)).reply?._tag, "Running")
      yield* TestClock.adjust("1 minute")
      assert.isTrue(isRunning())
    }),
  )

  it.effect("wait for the answer to a question as long as that has, and end then where nobody waits", () =>
    Effect.gen(function* () {
      const { begin, isRunning } = make()
      yield* begin(operation("asking"))
      yield* TestClock.adjust("1 minute")
      assert.isTrue(isRunning())
      yield* TestClock.adjust("12 seconds")
      assert.isFalse(isRunning())
    }),
  )

  it.effect("go on alone once somebody joined them who may go away", () =>
    Effect.gen(function* () {
      const { begin, isRunning } = make()
      yield* begin(operation("endless"))
      yield* begin(operation("endless", { isFollowed: false }))
      yield* TestClock.adjust("1 minute")
      assert.isTrue(isRunning())
    }),
  )
})
