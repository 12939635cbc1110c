/** What callers learn of operations that go on after them. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Deferred, Effect, Fiber, TestClock } from "effect"
import type { CommandSpec } from "../../src/domain/Command.ts"
import { NodeId, OperationId, SessionId } from "../../src/domain/Identity.ts"
import type { Operation, Reply } from "../../src/domain/Operation.ts"
import type { Sandbox } from "../../src/sandbox/Sandbox.ts"
import * as Operations from "../../src/session/Operations.ts"
import { standard } from "../../src/tools/Registry.ts"
import { SessionCommands } from "../../src/tools/commands/SessionCommands.ts"
import * as FakeSandbox from "../support/FakeSandbox.ts"
import * as MemoryRows from "../support/MemoryRows.ts"
import * as NoFiles from "../support/NoFiles.ts"

const id = (text: string) => OperationId.make(text)

const operation = (name: string, tool: string, input: unknown): Operation => ({
  id: id(name),
  tool,
  input,
  edgeNode: NodeId.make("edge"),
})

/** A command whose caller wants to know after so many milliseconds how it stands. */
const exec = (name: string, answerMs = Infinity, command = "make") => ({
  ...operation(name, "exec", { command }),
  answerMs,
})
const read = (name: string) => operation(name, "read_file", { path: "a" })

const outputOf = (reply: Reply | undefined) =>
  (reply === undefined || reply._tag === "Failed" || reply._tag === "Cancelled"
    ? {}
    : reply.output) as Record<string, unknown>

/** Operations whose commands write `so far`, and end with `done` when they are let; the sandbox comes when it is let. */
const make = Effect.gen(function* () {
  const [release, ready] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
  const started: Array<CommandSpec> = []
  const soFar = { data: Buffer.from("so far"), skipped: 0, skippedAt: 0 }
  const nothing = { data: Buffer.from(""), skipped: 0, skippedAt: 0 }
  const fake = FakeSandbox.running(started, { stdout: "so far, done" })
  const sandbox: Sandbox = {
    ...fake,
    read: (command, after, waitMs, until) =>
      Effect.flatMap(Deferred.isDone(release), (isDone) =>
        until === "output" && !isDone
          ? Effect.succeed({ stdout: soFar, stderr: nothing, next: { stdout: 6, stderr: 0 }, end: undefined })
          : Effect.zipRight(Deferred.await(release), fake.read(command, after, waitMs, until)),
      ),
    files: { ...fake.files, read: () => Effect.never },
  }
  const memory = MemoryRows.make()
  const commands = new SessionCommands()
  const operations: Operations.Operations = Operations.make({
    session: SessionId.make(`s_${"1".repeat(32)}`),
    claim: { current: MemoryRows.claim },
    rows: memory.rows,
    files: NoFiles.make(),
    sandbox: () => undefined,
    commands,
    callOf: (_, operation) =>
      Effect.succeed({
        ...FakeSandbox.call(Effect.as(Deferred.await(ready), sandbox)),
        operation: operation.id,
        commands,
        goesOn: operations.goesOn,
        outcomeOf: operations.ended,
      }),
    find: standard.find,
    patience: Duration.minutes(1),
    expiry: Duration.seconds(15),
    isReached: () => true,
    onLost: () => Effect.void,
  })
  const reply = (id: OperationId, waitMs: number) =>
    Effect.map(operations.page(id, undefined, waitMs), ({ reply }) => reply)
  return {
    ...operations,
    reply,
    memory,
    started,
    ready: Deferred.succeed(ready, undefined),
    end: Deferred.succeed(release, undefined),
    /** Begins a command, and waits until it runs. */
    up: (operation: Operation) =>
      Effect.zipRight(
        operations.begin(operation),
        Effect.yieldNow().pipe(Effect.repeat({ until: () => commands.find(operation.id) !== undefined })),
      ),
    /** Runs a tool that changes nothing to its end. */
    ask: (operation: Operation) => Effect.zipRight(operations.begin(operation), reply(operation.id, 60_000)),
  }
})

/** What comes of a wait that is as short as any. */
const soon = <A, E>(wait: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const waiting = yield* Effect.fork(wait)
    yield* TestClock.adjust("10 millis")
    return yield* Fiber.join(waiting)
  })

describe("Operations that go on", () => {
  it.effect("are answered after the caller's wait with what there is, and later with their end", () =>
    Effect.gen(function* () {
      const { begin, end, memory, ready, reply, up } = yield* make
      yield* ready
      yield* up(exec("a", 5000))
      const waiting = yield* Effect.fork(reply(id("a"), 60_000))
      yield* TestClock.adjust("4999 millis")
      assert.isNull(
        yield* Fiber.poll(waiting).pipe(Effect.map((exit) => (exit._tag === "None" ? null : exit))),
      )
      yield* TestClock.adjust("1 millis")
      const partial = yield* Fiber.join(waiting)
      assert.strictEqual(partial?._tag, "Running")
      assert.deepInclude(outputOf(partial), {
        operation_id: "a",
        status: "running",
        stdout: "so far",
        stdout_cursor: 6,
      })
      assert.isUndefined(memory.operations.get(id("a"))?.outcome)
      yield* begin(exec("a", 5000))
      const later = yield* Effect.fork(reply(id("a"), 60_000))
      yield* end
      const whole = yield* Fiber.join(later)
      assert.deepInclude(outputOf(whole), { operation_id: "a", status: "exited", stdout: "so far, done" })
      assert.deepStrictEqual(memory.operations.get(id("a"))?.outcome, whole)
    }),
  )

  it.effect("are answered before their sandbox is there, with nothing yet", () =>
    Effect.gen(function* () {
      const { begin, reply } = yield* make
      yield* begin(exec("a", 0))
      const partial = yield* soon(reply(id("a"), 0))
      assert.strictEqual(partial?._tag, "Running")
      assert.deepInclude(outputOf(partial), { status: "running", stdout: "", stdout_cursor: 0 })
    }),
  )

  it.effect("have no answer before their end where their tool has none, or nobody asks for it", () =>
    Effect.gen(function* () {
      const { begin, ready, reply, up } = yield* make
      yield* ready
      yield* begin({ ...read("a"), answerMs: 0 })
      yield* up(exec("b"))
      assert.isUndefined(yield* soon(reply(id("a"), 0)))
      assert.isUndefined(yield* soon(reply(id("b"), 0)))
    }),
  )

  it.effect("are joined by a repeat after a partial answer, and run once", () =>
    Effect.gen(function* () {
      const { begin, end, ready, reply, started, up } = yield* make
      yield* ready
      yield* up(exec("a", 0))
      assert.propertyVal(yield* soon(reply(id("a"), 0)), "_tag", "Running")
      yield* begin(exec("a", 0))
      assert.propertyVal(yield* soon(reply(id("a"), 0)), "_tag", "Running")
      assert.strictEqual((yield* Effect.flip(begin(exec("a", 0, "other"))))._tag, "OperationIdReused")
      yield* begin(exec("a"))
      yield* end
      const first = yield* reply(id("a"), 60_000)
      yield* begin(exec("a"))
      assert.deepStrictEqual(yield* reply(id("a"), 60_000), first)
      assert.lengthOf(started, 1)
    }),
  )

  it.effect("leave room for those that look after them, and the other way round", () =>
    Effect.gen(function* () {
      const { begin, running } = yield* make
      const names = Array.from({ length: 64 }, (_, n) => String(n))
      for (const name of names) yield* begin(exec(`exec${name}`))
      assert.strictEqual((yield* Effect.flip(begin(exec("exec64"))))._tag, "TooManyOperations")
      for (const tool of ["send_input", "kill_command", "read_output"]) {
        yield* begin(operation(tool, tool, { operation_id: "exec0", input: "" }))
      }
      for (const name of names.slice(3)) yield* begin(read(`read${name}`))
      assert.strictEqual((yield* Effect.flip(begin(read("read64"))))._tag, "TooManyOperations")
      assert.lengthOf(running(), 128)
    }),
  )

  it.effect("have an end for any who asks, as often as it is asked, and none before", () =>
    Effect.gen(function* () {
      const { end, ended, memory, ready, reply, up } = yield* make
      yield* ready
      yield* up(exec("a"))
      assert.isUndefined(yield* ended(id("a")))
      yield* end
      yield* Effect.yieldNow().pipe(
        Effect.repeat({ until: () => memory.operations.get(id("a"))?.outcome !== undefined }),
      )
      const outcome = yield* ended(id("a"))
      assert.strictEqual(outcome?._tag, "Answered")
      assert.deepStrictEqual(yield* ended(id("a")), outcome)
      assert.deepStrictEqual(yield* reply(id("a"), 0), outcome)
      // A caller whose connection broke fetches it again.
      assert.deepStrictEqual(yield* reply(id("a"), 0), outcome)
      assert.deepStrictEqual(yield* ended(id("a")), outcome)
      assert.isUndefined(yield* ended(id("b")))
    }),
  )

  it.effect("are read by a caller who does not wait for their sandbox", () =>
    Effect.gen(function* () {
      const { ask, begin, end, ready } = yield* make
      yield* begin(exec("a"))
      const at = operation("r1", "read_output", { operation_id: "a", wait_ms: 0 })
      const early = outputOf(yield* ask(at))
      assert.deepInclude(early, { operation_id: "a", status: "running", stdout: "", stdout_cursor: 0 })
      const waiting = yield* Effect.fork(
        ask(operation("r2", "read_output", { operation_id: "a", wait_ms: 5000 })),
      )
      yield* ready
      yield* TestClock.adjust("100 millis")
      assert.deepInclude(outputOf(yield* Fiber.join(waiting)), { status: "running", stdout: "so far" })
      yield* end
      yield* ask(operation("r3", "read_output", { operation_id: "a" }))
    }),
  )

  it.effect("are never waited for by a tool that names one that starts no command, itself for instance", () =>
    Effect.gen(function* () {
      const { ask, begin } = yield* make
      yield* begin(read("other"))
      for (const named of ["own", "other", "nobody"]) {
        for (const tool of ["read_output", "kill_command"]) {
          const reply = yield* ask(operation("own", tool, { operation_id: named }))
          assert.strictEqual(reply?._tag === "Failed" ? reply.failure.code : "", "no_such_command")
        }
      }
    }),
  )

  it.effect(
    "do not stay refused: the right arguments under an ended id get its outcome after wrong ones",
    () =>
      Effect.gen(function* () {
        const { begin, end, ready, reply } = yield* make
        yield* ready
        yield* end
        yield* begin(exec("a"))
        const outcome = yield* reply(id("a"), 60_000)
        yield* begin(exec("a", Infinity, "other"))
        assert.strictEqual((yield* Effect.flip(reply(id("a"), 60_000)))._tag, "OperationIdReused")
        yield* begin(exec("a"))
        assert.deepStrictEqual(yield* reply(id("a"), 60_000), outcome)
      }),
  )
})
