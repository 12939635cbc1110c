import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { CommandId } from "../../../src/domain/Command.ts"
import { OperationId } from "../../../src/domain/Identity.ts"
import { CommandNotStarted } from "../../../src/domain/SandboxError.ts"
import { listCommands } from "../../../src/tools/commands/ListCommands.ts"
import { SessionCommands } from "../../../src/tools/commands/SessionCommands.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"

describe("ListCommands", () => {
  it.effect(
    "leaves out a command that is let go of while it looks at the others, and one that never began",
    () =>
      Effect.gen(function* () {
        const fake = FakeSandbox.running([])
        const gone = new Set<CommandId>()
        const commands = new SessionCommands()
        const sandbox = {
          ...fake,
          forget: (id: CommandId) => Effect.sync(() => void gone.add(id)),
          read: (...args: Parameters<typeof fake.read>) =>
            Effect.gen(function* () {
              const [id] = args
              if (gone.has(id)) return yield* Effect.dieMessage(`unknown command ${id}`)
              if (id === "2") return yield* new CommandNotStarted({ reason: "there is no program" })
              const third = commands.find(OperationId.make("c"))
              if (id === "1" && third !== undefined) yield* commands.drop(third)
              return yield* fake.read(...args)
            }),
        }
        const start = (name: string) =>
          commands.start(OperationId.make(name), sandbox, FakeSandbox.spec, `run ${name}`)
        for (const name of ["a", "b", "c", "d"]) yield* start(name)
        const answer = yield* listCommands.handler(
          {},
          { ...FakeSandbox.call(Effect.succeed(sandbox)), commands },
        )
        assert.deepStrictEqual(
          answer.commands.map(({ command }) => command),
          ["run a", "run d"],
        )
      }),
  )
})
