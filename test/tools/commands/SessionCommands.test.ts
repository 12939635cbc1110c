import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { CommandId, type CommandPage, type CommandSpec } from "../../../src/domain/Command.ts"
import { OperationId } from "../../../src/domain/Identity.ts"
import { SessionCommands } from "../../../src/tools/commands/SessionCommands.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"

const MiB = 1024 * 1024

/** The last page of a command that kept so many bytes of output. */
const page = (bytes: number): CommandPage => ({
  stdout: { data: new Uint8Array(bytes), skipped: 0, skippedAt: 0 },
  stderr: { data: new Uint8Array(), skipped: 0, skippedAt: 0 },
  next: { stdout: bytes, stderr: 0 },
  end: { _tag: "Exited", code: 0, durationMs: 1, limits: [], spilled: {} },
})

const make = () => {
  const started: Array<CommandSpec> = []
  const forgotten: Array<CommandId> = []
  const sandbox = {
    ...FakeSandbox.running(started),
    forget: (id: CommandId) => Effect.sync(() => void forgotten.push(id)),
  }
  const commands = new SessionCommands()
  return {
    commands,
    forgotten,
    known: () => commands.all().map(({ operation }) => String(operation)),
    start: (name: string) => commands.start(OperationId.make(name), sandbox, FakeSandbox.spec, name),
  }
}

const names = (prefix: string, count: number) => Array.from({ length: count }, (_, n) => `${prefix}${n}`)

describe("SessionCommands", () => {
  it.effect("finds a command by its operation, and lists all in the order of their start", () =>
    Effect.gen(function* () {
      const { commands, known, start } = make()
      const [a, b, c] = [yield* start("a"), yield* start("b"), yield* start("c")]
      yield* commands.end(b, page(1))
      yield* commands.end(a, page(1))
      assert.strictEqual(commands.find(OperationId.make("b")), b)
      assert.isUndefined(commands.find(OperationId.make("d")))
      assert.deepStrictEqual(known(), ["a", "b", "c"])
      assert.deepStrictEqual([a.kept, b.kept, c.kept], [1, 1, undefined])
    }),
  )

  it.effect("keeps the 32 that ended last, and lets go of the others in their sandbox", () =>
    Effect.gen(function* () {
      const { commands, forgotten, known, start } = make()
      const all = yield* Effect.forEach(names("a", 40), start)
      for (const command of all) yield* commands.end(command, page(1))
      assert.deepStrictEqual(known(), names("a", 40).slice(8))
      assert.deepStrictEqual(
        forgotten,
        all.slice(0, 8).map(({ id }) => id),
      )
    }),
  )

  it.effect("keeps 8 MiB of the output of those that ended, the newest", () =>
    Effect.gen(function* () {
      const { commands, forgotten, known, start } = make()
      const all = yield* Effect.forEach(names("a", 4), start)
      for (const command of all.slice(0, 3)) yield* commands.end(command, page(2.5 * MiB))
      assert.lengthOf(forgotten, 0)
      yield* commands.end(all[3]!, page(4 * MiB))
      assert.deepStrictEqual(known(), ["a2", "a3"])
      assert.deepStrictEqual(forgotten, [all[0]!.id, all[1]!.id])
    }),
  )

  it.effect("never lets go of one that runs, however old and many they are", () =>
    Effect.gen(function* () {
      const { commands, forgotten, known, start } = make()
      const running = yield* Effect.forEach(names("run", 40), start)
      for (const name of names("end", 40)) yield* commands.end(yield* start(name), page(2 * MiB))
      assert.includeMembers(
        known(),
        running.map(({ operation }) => String(operation)),
      )
      assert.lengthOf(known(), 44)
      for (const { id } of running) assert.notInclude(forgotten, id)
    }),
  )

  it.effect("keeps one that ended just now, though it began before all others that are kept", () =>
    Effect.gen(function* () {
      const { commands, known, start } = make()
      const server = yield* start("server")
      for (const name of names("a", 40)) yield* commands.end(yield* start(name), page(1))
      yield* commands.end(server, page(1))
      assert.deepStrictEqual(known(), ["server", ...names("a", 40).slice(9)])
      for (const name of names("b", 31)) yield* commands.end(yield* start(name), page(1))
      assert.deepStrictEqual(known(), ["server", ...names("b", 31)])
      yield* commands.end(yield* start("c"), page(1))
      assert.deepStrictEqual(known(), [...names("b", 31), "c"])
    }),
  )

  it.effect("keeps the last one, though it alone is too long", () =>
    Effect.gen(function* () {
      const { commands, known, start } = make()
      yield* commands.end(yield* start("a"), page(1))
      yield* commands.end(yield* start("b"), page(20 * MiB))
      assert.deepStrictEqual(known(), ["b"])
      yield* commands.end(yield* start("c"), page(1))
      assert.deepStrictEqual(known(), ["c"])
    }),
  )

  it.effect("forgets one that is dropped, which frees its room", () =>
    Effect.gen(function* () {
      const { commands, forgotten, known, start } = make()
      const [a, b] = [yield* start("a"), yield* start("b")]
      yield* commands.end(a, page(7 * MiB))
      yield* commands.drop(a)
      yield* commands.end(b, page(7 * MiB))
      yield* commands.end(yield* start("c"), page(1))
      assert.deepStrictEqual(known(), ["b", "c"])
      assert.deepStrictEqual(forgotten, [a.id])
    }),
  )
})
