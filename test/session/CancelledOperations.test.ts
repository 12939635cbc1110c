/** Who may end an operation, when, and what is recorded of it then. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Deferred, Effect, Fiber } from "effect"
import type { CommandSpec } from "../../src/domain/Command.ts"
import { ConnectionId, NodeId, OperationId, SessionId } from "../../src/domain/Identity.ts"
import type { Operation } from "../../src/domain/Operation.ts"
import type { SessionRows } from "../../src/session/SessionRows.ts"
import * as Operations from "../../src/session/Operations.ts"
import { standard } from "../../src/tools/Registry.ts"
import { SessionCommands } from "../../src/tools/commands/SessionCommands.ts"
import * as FakeSandbox from "../support/FakeSandbox.ts"
import * as MemoryRows from "../support/MemoryRows.ts"
import * as NoFiles from "../support/NoFiles.ts"

const connection = ConnectionId.make(`c_${"0".repeat(32)}`)

const exec = (id: string, request: number | string, more: Partial<Operation> = {}): Operation => ({
  id: OperationId.make(id),
  tool: "exec",
  input: { command: "make" },
  edgeNode: NodeId.make("edge"),
  origin: { connection, request },
  ...more,
})

/** Operations whose commands run until they are cancelled, or let end. */
const make = (rowsOf: (rows: SessionRows["Type"]) => SessionRows["Type"] = (rows) => rows) =>
  Effect.gen(function* () {
    const release = yield* Deferred.make<void>()
    const started: Array<CommandSpec> = []
    const killed: Array<string> = []
    const fake = FakeSandbox.running(started, { stdout: "done" })
    const memory = MemoryRows.make()
    const commands = new SessionCommands()
    const context = {
      session: SessionId.make(`s_${"1".repeat(32)}`),
      claim: { current: MemoryRows.claim },
      rows: rowsOf(memory.rows),
      files: NoFiles.make(),
      sandbox: () => undefined,
      commands,
      callOf: (_: unknown, { id }: Operation) =>
        Effect.succeed({
          ...FakeSandbox.call(
            Effect.succeed({
              ...fake,
              read: (...args: Parameters<typeof fake.read>) =>
                args[3] === "end" || args[2] > 0
                  ? Effect.zipRight(Deferred.await(release), fake.read(...args))
                  : Effect.map(fake.read(...args), (page) => ({ ...page, end: undefined })),
              cancel: (command: string) => Effect.sync(() => void killed.push(command)),
            }),
          ),
          operation: id,
          commands,
        }),
      find: standard.find,
      patience: Duration.minutes(1),
      expiry: Duration.seconds(15),
      isReached: () => true,
      onLost: () => Effect.void,
    }
    const operations = Operations.make(context)
    return {
      ...operations,
      memory,
      started,
      killed,
      /** The operations of the session's next owner. */
      next: () => Operations.make(context),
      end: Deferred.succeed(release, undefined),
      up: (operation: Operation) =>
        Effect.zipRight(
          operations.begin(operation),
          Effect.yieldNow().pipe(
            Effect.repeat({ until: () => commands.find(operation.id) !== undefined || started.length > 1 }),
          ),
        ),
      reply: (id: string, waitMs = 60_000) =>
        Effect.map(operations.page(OperationId.make(id), undefined, waitMs), ({ reply }) => reply),
    }
  })

describe("Operations", () => {
  it.live("keep the end that they came to where their cancel comes as it is recorded", () =>
    Effect.gen(function* () {
      const writing = yield* Deferred.make<void>()
      const slow = yield* Deferred.make<void>()
      const { cancel, end, memory, up } = yield* make((rows) => ({
        ...rows,
        finish: (...args) =>
          Effect.zipRight(
            Deferred.succeed(writing, undefined),
            Effect.zipRight(Deferred.await(slow), rows.finish(...args)),
          ),
      }))
      yield* up(exec("a", 1))
      yield* end
      yield* Deferred.await(writing)
      const cancelling = yield* Effect.fork(cancel(connection, 1))
      yield* Effect.yieldNow()
      yield* Deferred.succeed(slow, undefined)
      yield* Fiber.join(cancelling)
      const outcome = memory.operations.get(OperationId.make("a"))?.outcome
      assert.deepInclude(outcome, { _tag: "Answered", state: "succeeded" })
    }),
  )

  it.live(
    "go on where a request is cancelled that was answered, by the number of its command for instance",
    () =>
      Effect.gen(function* () {
        const { cancel, killed, reply, up } = yield* make()
        yield* up(exec("long", 2, { answerMs: 0 }))
        assert.strictEqual((yield* reply("long"))?._tag, "Running")
        assert.isFalse(yield* cancel(connection, 2))
        // A client that starts again counts from the beginning.
        yield* up(exec("other", 2, { input: { command: "other" } }))
        assert.isTrue(yield* cancel(connection, 2))
        assert.deepStrictEqual(killed, ["2"])
      }),
  )

  it.live("answer the last request that joined them, and end with its cancel", () =>
    Effect.gen(function* () {
      const { begin, cancel, end, resume, up } = yield* make()
      yield* up(exec("a", 5))
      yield* begin(exec("a", "later"))
      assert.isFalse(yield* cancel(connection, 5))
      yield* end
      const page = yield* resume(connection, OperationId.make("a"), 0, 1000)
      assert.strictEqual(page?.origin?.request, "later")
      assert.strictEqual(page?.reply?._tag, "Answered")
    }),
  )

  it.live(
    "run beside one that another request of the same number began, and are the one that its cancel means",
    () =>
      Effect.gen(function* () {
        const { cancel, end, killed, reply, started, up } = yield* make()
        yield* up(exec("first", 0))
        yield* up(exec("second", 0, { input: { command: "other" } }))
        assert.lengthOf(started, 2)
        assert.isTrue(yield* cancel(connection, 0))
        assert.deepStrictEqual(killed, ["2"])
        yield* end
        assert.strictEqual((yield* reply("first"))?._tag, "Answered")
        assert.strictEqual((yield* reply("second"))?._tag, "Cancelled")
      }),
  )

  it.live("are not joined by a new request under the number of one that is cancelled", () =>
    Effect.gen(function* () {
      const { begin, cancel, started, up } = yield* make()
      yield* up(exec("a", 0))
      assert.isTrue(yield* cancel(connection, 0))
      yield* begin(exec("b", 0))
      yield* Effect.yieldNow().pipe(Effect.repeat({ times: 20 }))
      assert.lengthOf(started, 2)
    }),
  )
})

describe("A repeat of a request that is not answered yet", () => {
  it.live("joins it under its own id, and is not run by the session's next owner either", () =>
    Effect.gen(function* () {
      const { begin, next, started, up } = yield* make()
      yield* up(exec("a", 1))
      yield* begin(exec("b", 1))
      const later = next()
      yield* later.begin(exec("b", 1))
      const { reply } = yield* later.page(OperationId.make("b"), undefined, 1000)
      assert.strictEqual(reply?._tag === "Failed" ? reply.state : undefined, "interrupted")
      assert.lengthOf(started, 1)
    }),
  )

  it.live("is recorded with the same end", () =>
    Effect.gen(function* () {
      const { begin, end, memory, reply, up } = yield* make()
      yield* up(exec("a", 1))
      yield* begin(exec("b", 1))
      yield* end
      const outcome = yield* reply("b")
      assert.strictEqual(outcome?._tag, "Answered")
      yield* Effect.yieldNow().pipe(
        Effect.repeat({ until: () => memory.operations.get(OperationId.make("b"))?.outcome !== undefined }),
      )
      assert.deepStrictEqual(memory.operations.get(OperationId.make("b"))?.outcome, outcome)
    }),
  )

  it.live("is refused where there are too many", () =>
    Effect.gen(function* () {
      const { begin, up } = yield* make()
      yield* up(exec("a", 1))
      for (let count = 1; count < 64; count++) yield* begin(exec(`b${count}`, 1))
      assert.strictEqual((yield* Effect.flip(begin(exec("c", 1))))._tag, "TooManyOperations")
    }),
  )
})
