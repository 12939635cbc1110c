import { assert, describe, it } from "@effect/vitest"
import { Duration, Deferred, Effect, Fiber, TestClock } from "effect"
import { type CommandId, type CommandSpec } from "../../src/domain/Command.ts"
import { ConnectionId, ContainerId, NodeId, OperationId, SessionId } from "../../src/domain/Identity.ts"
import type { Operation, Outcome } from "../../src/domain/Operation.ts"
import { SandboxError, SandboxLost } from "../../src/domain/SandboxError.ts"
import { WorkspaceLost } from "../../src/domain/SessionError.ts"
import type { Sandbox } from "../../src/sandbox/Sandbox.ts"
import { standard } from "../../src/tools/Registry.ts"
import * as Operations from "../../src/session/Operations.ts"
import type { OwnerCall } from "../../src/tools/Tool.ts"
import * as FakeSandbox from "../support/FakeSandbox.ts"
import * as MemoryRows from "../support/MemoryRows.ts"
import * as NoFiles from "../support/NoFiles.ts"
import { outcomeOf } from "../support/Outcome.ts"

const session = SessionId.make(`s_${"1".repeat(32)}`)

const exec = (id: string, command: string): Operation => ({
  id: OperationId.make(id),
  tool: "exec",
  input: { command },
  edgeNode: NodeId.make("edge"),
})

const read = (id: string, path = "a"): Operation => ({ ...exec(id, ""), tool: "read_file", input: { path } })

/** Operations of a session whose sandbox ends each command once `release` is done. */
const make = (sandbox?: OwnerCall["sandbox"]) =>
  Effect.gen(function* () {
    const release = yield* Deferred.make<void>()
    const started: Array<CommandSpec> = []
    const forgotten: Array<CommandId> = []
    const quick = FakeSandbox.running(started, { stdout: "done" })
    const held: Sandbox = {
      ...quick,
      read: (...args) => Effect.zipRight(Deferred.await(release), quick.read(...args)),
      forget: (id) => Effect.sync(() => void forgotten.push(id)),
      files: {
        ...quick.files,
        read: () =>
          Effect.as(Deferred.await(release), { data: Buffer.from("text"), size: 4, mode: 0o644, bytes: 4 }),
      },
    }
    const memory = MemoryRows.make()
    const claim = { current: MemoryRows.claim }
    let losses = 0
    const call = FakeSandbox.call(sandbox ?? Effect.succeed(held))
    const operations = Operations.make({
      session,
      claim,
      rows: memory.rows,
      files: NoFiles.make(),
      sandbox: () => undefined,
      commands: call.commands,
      callOf: (_, { id }) => Effect.succeed({ ...call, operation: id }),
      find: standard.find,
      patience: Duration.minutes(1),
      expiry: Duration.seconds(15),
      isReached: () => true,
      onLost: () => Effect.sync(() => void losses++),
    })
    const outcome = (id: OperationId, waitMs: number) => outcomeOf(operations, id, waitMs)
    return {
      ...operations,
      ...memory,
      outcome,
      claim,
      started,
      forgotten,
      losses: () => losses,
      end: Deferred.succeed(release, undefined),
      run: (operation: Operation) =>
        Effect.zipRight(operations.begin(operation), outcome(operation.id, 60_000)),
    }
  })

const failureOf = (outcome: Outcome | undefined) => (outcome?._tag === "Failed" ? outcome.failure : undefined)

describe("Operations", () => {
  it.effect("runs an operation to its end, and records it", () =>
    Effect.gen(function* () {
      const { end, run, operations, started } = yield* make()
      yield* end
      const outcome = yield* run(exec("a", "ls"))
      assert.strictEqual(outcome?._tag, "Answered")
      assert.propertyVal(outcome?._tag === "Answered" ? outcome.output : {}, "stdout", "done")
      assert.deepStrictEqual(operations.get(OperationId.make("a"))?.outcome, outcome)
      assert.lengthOf(started, 1)
    }),
  )

  it.effect("lets a repeat of a running id join it, and runs it once", () =>
    Effect.gen(function* () {
      const { begin, end, outcome, started } = yield* make()
      yield* begin(exec("a", "ls"))
      const first = yield* Effect.fork(outcome(OperationId.make("a"), 60_000))
      yield* begin(exec("a", "ls"))
      const second = yield* Effect.fork(outcome(OperationId.make("a"), 60_000))
      yield* Effect.yieldNow()
      yield* end
      assert.deepStrictEqual(yield* Fiber.join(first), yield* Fiber.join(second))
      assert.lengthOf(started, 1)
    }),
  )

  it.effect("runs an id once that two callers begin at the same time, whatever steps they take in turn", () =>
    Effect.gen(function* () {
      const { begin, end, outcome, started } = yield* make()
      yield* end
      for (let steps = 20; steps < 84; steps++) {
        const operation = exec(`a${steps}`, "ls")
        yield* Effect.all([begin(operation), begin(operation)], { concurrency: 2 }).pipe(
          Effect.withMaxOpsBeforeYield(steps),
        )
        assert.strictEqual((yield* outcome(operation.id, 60_000))?.state, "succeeded")
      }
      assert.lengthOf(started, 64)
    }),
  )

  it.effect("answers a repeat of an ended id with its stored outcome, and runs nothing", () =>
    Effect.gen(function* () {
      const { end, run, started } = yield* make()
      yield* end
      const first = yield* run(exec("a", "ls"))
      assert.deepStrictEqual(yield* run(exec("a", "ls")), first)
      assert.lengthOf(started, 1)
    }),
  )

  it.effect("keeps the events of an ended id for whoever resumes it, also once it was repeated", () =>
    Effect.gen(function* () {
      const { begin, emit, end, outcome, resume, started } = yield* make()
      const operation = {
        ...exec("a", "ls"),
        origin: { connection: ConnectionId.make(`c_${"0".repeat(32)}`), request: 1, progress: "p" },
      }
      yield* begin(operation)
      emit(operation.id, { _tag: "Progress", progress: 1, message: "between" })
      yield* end
      yield* outcome(operation.id, 60_000)
      yield* begin(operation)
      const page = yield* resume(operation.origin.connection, operation.id, 0, 0)
      assert.include(JSON.stringify(page?.events), "between")
      assert.strictEqual(page?.reply?._tag, "Answered")
      assert.lengthOf(started, 1)
    }),
  )

  it.effect("refuses a known id with other arguments, while it runs and after", () =>
    Effect.gen(function* () {
      const { begin, end, outcome, run, started } = yield* make()
      yield* begin(exec("a", "ls"))
      for (const other of [exec("a", "rm"), read("a")]) {
        assert.strictEqual((yield* Effect.flip(begin(other)))._tag, "OperationIdReused")
      }
      yield* end
      yield* outcome(OperationId.make("a"), 60_000)
      assert.strictEqual((yield* Effect.flip(run(exec("a", "rm"))))._tag, "OperationIdReused")
      assert.lengthOf(started, 1)
    }),
  )

  it.effect("repeats reads freely, and records none of them", () =>
    Effect.gen(function* () {
      const { end, run, operations } = yield* make()
      yield* end
      assert.strictEqual((yield* run(read("a", "x")))?._tag, "Answered")
      assert.strictEqual((yield* run(read("a", "y")))?._tag, "Answered")
      assert.strictEqual(operations.size, 0)
    }),
  )

  it.effect("gives no outcome while the operation runs, and one when it has ended", () =>
    Effect.gen(function* () {
      const { begin, end, outcome } = yield* make()
      yield* begin(exec("a", "ls"))
      const waiting = yield* Effect.fork(outcome(OperationId.make("a"), 5000))
      yield* TestClock.adjust("5 seconds")
      assert.isUndefined(yield* Fiber.join(waiting))
      yield* end
      assert.isDefined(yield* outcome(OperationId.make("a"), 5000))
    }),
  )

  it.effect("goes on when the caller goes away", () =>
    Effect.gen(function* () {
      const { begin, end, outcome } = yield* make()
      const caller = yield* Effect.fork(
        Effect.zipRight(begin(exec("a", "ls")), outcome(OperationId.make("a"), 60_000)),
      )
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(caller)
      yield* end
      assert.strictEqual((yield* outcome(OperationId.make("a"), 60_000))?._tag, "Answered")
    }),
  )

  it.effect("says of an id that it does not know that the session moved", () =>
    Effect.gen(function* () {
      const { outcome } = yield* make()
      assert.strictEqual((yield* Effect.flip(outcome(OperationId.make("a"), 0)))._tag, "SessionMoved")
    }),
  )

  it.effect("works on 64 operations at once and refuses one more, until one has ended", () =>
    Effect.gen(function* () {
      const { begin, end, outcome, running } = yield* make()
      const ids = Array.from({ length: 64 }, (_, index) => `a${index}`)
      yield* Effect.forEach(ids, (id) => begin(exec(id, id)))
      assert.lengthOf(running(), 64)
      const refused = yield* Effect.flip(begin(exec("b", "ls")))
      assert.deepStrictEqual([refused._tag, "limit" in refused && refused.limit], ["TooManyOperations", 64])
      yield* begin(exec("a0", "a0"))
      yield* end
      yield* Effect.forEach(ids, (id) => outcome(OperationId.make(id), 60_000))
      assert.lengthOf(running(), 0)
      yield* begin(exec("b", "ls"))
    }),
  )

  it.effect("ends those named, then all that run, as interrupted, and lets go of their commands", () =>
    Effect.gen(function* () {
      const { begin, forgotten, interrupt, operations, outcome, running, started } = yield* make()
      for (const id of ["a", "b"]) yield* begin(exec(id, id))
      yield* Effect.yieldNow().pipe(Effect.repeat({ until: () => started.length === 2 }))
      yield* interrupt([OperationId.make("a")])
      assert.deepStrictEqual(running(), [OperationId.make("b")])
      yield* interrupt()
      assert.lengthOf(running(), 0)
      assert.lengthOf(forgotten, 2)
      for (const id of ["a", "b"].map((id) => OperationId.make(id))) {
        const end = yield* outcome(id, 0)
        assert.strictEqual(end?.state, "interrupted")
        assert.strictEqual(failureOf(end)?.code, "interrupted")
        // Its owner is no more; whoever claims the session next ends the row.
        assert.isUndefined(operations.get(id)?.outcome)
      }
    }),
  )

  it.effect(
    "answers an id that runs elsewhere, or ran when its node died, as interrupted, and runs nothing",
    () =>
      Effect.gen(function* () {
        const { end, interrupt, operations, run, started } = yield* make()
        yield* end
        yield* run(exec("a", "ls"))
        // The session was another owner's meanwhile.
        yield* interrupt()
        operations.get(OperationId.make("a"))!.outcome = undefined
        assert.strictEqual((yield* run(exec("a", "ls")))?.state, "interrupted")
        assert.lengthOf(started, 1)
      }),
  )

  it.effect("starts nothing under an epoch that is no longer its session's", () =>
    Effect.gen(function* () {
      const { run, started, state } = yield* make()
      state.epoch = 2
      assert.strictEqual((yield* Effect.flip(run(exec("a", "ls"))))._tag, "SessionMoved")
      assert.lengthOf(started, 0)
    }),
  )

  it.effect("writes the end of an operation under the epoch that its session has by then", () =>
    Effect.gen(function* () {
      const { begin, claim, end, operations, outcome, state } = yield* make()
      yield* begin(exec("a", "ls"))
      yield* Effect.yieldNow()
      state.epoch = 2
      claim.current = { ...claim.current, epoch: 2 }
      yield* end
      yield* outcome(OperationId.make("a"), 60_000)
      assert.strictEqual(operations.get(OperationId.make("a"))?.outcome?._tag, "Answered")
    }),
  )

  it.effect("records a failure of the tool by its code", () =>
    Effect.gen(function* () {
      const { operations, run } = yield* make(
        Effect.fail(new SandboxError({ operation: "create", cause: "no space" })),
      )
      const outcome = yield* run(exec("a", "ls"))
      assert.strictEqual(outcome?.state, "failed")
      assert.strictEqual(failureOf(outcome)?.code, "sandbox_error")
      assert.deepStrictEqual(operations.get(OperationId.make("a"))?.outcome, outcome)
    }),
  )

  it.effect("tells the session when its sandbox turned out to be gone", () =>
    Effect.gen(function* () {
      const gone = FakeSandbox.make({
        start: () => Effect.fail(new SandboxLost({ container: ContainerId.make("gone") })),
      })
      const { losses, run } = yield* make(Effect.succeed(gone))
      assert.strictEqual(failureOf(yield* run(exec("a", "ls")))?.code, "sandbox_lost")
      assert.strictEqual(losses(), 1)
    }),
  )

  it.effect("answers a defect as internal_error, without its words, and goes on", () =>
    Effect.gen(function* () {
      const broken = FakeSandbox.make({ start: () => Effect.dieMessage("secret detail") })
      const { run, running } = yield* make(Effect.succeed(broken))
      for (const id of ["a", "b"]) {
        const outcome = yield* run(exec(id, "ls"))
        assert.strictEqual(failureOf(outcome)?.code, "internal_error")
        assert.notInclude(JSON.stringify(outcome), "secret")
      }
      assert.lengthOf(running(), 0)
    }),
  )

  it.effect("keeps a bounded number of outcomes that nobody fetched, the newest", () =>
    Effect.gen(function* () {
      const { begin, end, outcome, running } = yield* make()
      yield* end
      for (let index = 0; index < 200; index++) {
        yield* begin(read(`a${index}`))
        yield* Effect.yieldNow().pipe(Effect.repeat({ until: () => running().length === 0 }))
      }
      const kept = yield* Effect.forEach(
        Array.from({ length: 200 }, (_, index) => OperationId.make(`a${index}`)),
        (id) => Effect.isSuccess(outcome(id, 0)),
      )
      assert.deepStrictEqual(
        kept,
        Array.from({ length: 200 }, (_, index) => index >= 136),
      )
    }),
  )

  it.effect("forgets an operation in which nothing ran, so that its id may be used again", () =>
    Effect.gen(function* () {
      let calls = 0
      const lostOnce = Effect.suspend(() =>
        ++calls === 1
          ? Effect.fail(new WorkspaceLost({ checkpoint: null }))
          : Effect.succeed(FakeSandbox.running([], { stdout: "ran" })),
      )
      const { operations, run } = yield* make(lostOnce)
      const operation = exec("again", "ls")
      assert.strictEqual(failureOf(yield* run(operation))?.code, "workspace_lost")
      assert.strictEqual(operations.size, 0)
      assert.deepInclude(yield* run(operation), { _tag: "Answered", state: "succeeded" })
      assert.strictEqual(operations.size, 1)
    }),
  )
})
