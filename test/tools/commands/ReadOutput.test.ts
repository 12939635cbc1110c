import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { OperationId } from "../../../src/domain/Identity.ts"
import type { Outcome } from "../../../src/domain/Operation.ts"
import { readOutput } from "../../../src/tools/commands/ReadOutput.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"

/** Reads a command that ended with this answer and is kept no more. */
const read = (
  output: Readonly<Record<string, unknown>>,
  cursors: { readonly stdout_cursor?: number; readonly stderr_cursor?: number } = {},
) => {
  const outcome: Outcome = {
    _tag: "Answered",
    state: "succeeded",
    output: {
      operation_id: "o_1",
      status: "exited",
      exit_code: 0,
      duration_ms: 1,
      truncated: false,
      checkpoint: { state: "off" },
      ...output,
    },
  }
  return readOutput.handler(
    { operation_id: OperationId.make("o_1"), ...cursors },
    {
      ...FakeSandbox.call(Effect.dieMessage("no sandbox is needed")),
      outcomeOf: () => Effect.succeed(outcome),
    },
  )
}

describe("ReadOutput, of a command that is kept no more,", () => {
  const short = { stdout: "grüße\n", stderr: "err\n", stdout_cursor: 8, stderr_cursor: 4 }

  it.effect("gives what it was answered with, from the cursors on", () =>
    Effect.gen(function* () {
      const first = yield* read(short)
      assert.deepInclude(first, { ...short, status: "exited", exit_code: 0, more: false })
      const rest = yield* read(short, { stdout_cursor: 6, stderr_cursor: 4 })
      assert.deepInclude(rest, { ...short, stdout: "e\n", stderr: "" })
      const none = yield* read(short, { stdout_cursor: 8, stderr_cursor: 9 })
      assert.deepInclude(none, { ...short, stdout: "", stderr: "" })
    }),
  )

  it.effect("gives head and tail of long output whole, and nothing to one who has read all", () =>
    Effect.gen(function* () {
      const long = { stdout: "head\n[…]\ntail", stderr: "", stdout_cursor: 90_000, stderr_cursor: 0 }
      assert.deepInclude(yield* read(long, { stdout_cursor: 50_000 }), { stdout: long.stdout, stderr: "" })
      assert.deepInclude(yield* read(long, { stdout_cursor: 90_000 }), { stdout: "", stdout_cursor: 90_000 })
    }),
  )

  it.effect("passes on why it has no answer", () =>
    Effect.gen(function* () {
      const failure = {
        code: "interrupted",
        message: "It was running when its node was lost.",
        next: "Look.",
      }
      const error = yield* Effect.flip(
        readOutput.handler(
          { operation_id: OperationId.make("o_1") },
          {
            ...FakeSandbox.call(Effect.dieMessage("no sandbox is needed")),
            outcomeOf: () => Effect.succeed({ _tag: "Failed", state: "interrupted", failure }),
          },
        ),
      )
      assert.deepInclude(error, failure)
    }),
  )
})
