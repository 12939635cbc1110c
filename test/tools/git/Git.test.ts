import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { CommandSpec } from "../../../src/domain/Command.ts"
import { OperationId } from "../../../src/domain/Identity.ts"
import { commandsOf } from "../../../src/tools/commands/ToolCommand.ts"
import { gitDiff } from "../../../src/tools/git/GitDiff.ts"
import { gitStatus } from "../../../src/tools/git/GitStatus.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"

describe("Git tools", () => {
  it.effect("look without a trace among the commands whose output callers come back for", () =>
    Effect.gen(function* () {
      const started: Array<CommandSpec> = []
      const forgotten: Array<string> = []
      const sandbox = {
        ...FakeSandbox.running(started),
        forget: (id: string) => Effect.sync(() => void forgotten.push(id)),
      }
      const call = FakeSandbox.call(Effect.succeed(sandbox))
      const operations = Array.from({ length: 32 }, (_, index) => OperationId.make(`o_exec${index}`))
      for (const operation of operations)
        yield* commandsOf({ ...call, operation }).run(FakeSandbox.spec, "true")
      yield* gitStatus.handler({}, { ...call, operation: OperationId.make("o_status") })
      yield* gitDiff.handler({}, { ...call, operation: OperationId.make("o_diff") })
      assert.deepStrictEqual(
        call.commands.all().map(({ operation }) => operation),
        operations,
      )
      assert.deepStrictEqual(forgotten, ["33", "34", "35"])
    }),
  )
})
