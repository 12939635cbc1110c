import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Container from "../../src/sandbox/Container.ts"
import { HeldSessions } from "../../src/session/HeldSessions.ts"
import type { Operations } from "../../src/session/Operations.ts"
import { newOperation } from "../support/Operation.ts"
import { outcomeOf, told } from "../support/Outcome.ts"
import * as SessionTable from "../support/SessionTable.ts"
import * as TestNode from "../support/TestNode.ts"

/** Runs a tool to its end; gives its answer, or its failure. */
const call = Effect.fnUntraced(function* (operations: Operations, tool: string, input: unknown) {
  const operation = newOperation(tool, input)
  yield* operations.begin(operation)
  return told(yield* outcomeOf(operations, operation.id, 30_000))
})

const places = 4

const sessions = Effect.flatMap(HeldSessions, ({ claim }) =>
  Effect.replicateEffect(Effect.flatMap(SessionTable.insert(), claim), places),
)

const atOnce = { concurrency: "unbounded" } as const

layer(
  HeldSessions.layer.pipe(
    Layer.provideMerge(
      TestNode.both({ MAX_SANDBOXES: String(places), IDLE_TIMEOUT: "10 minutes", CHECKPOINT: "off" }),
    ),
  ),
  { excludeTestServices: true, timeout: "60 seconds" },
)("A full node that many sessions come to at once", (it) => {
  it.effect(
    "has a place for each, as long as there are sandboxes in which nothing was done, and then for none",
    () =>
      Effect.gen(function* () {
        for (const operations of yield* sessions) yield* call(operations, "list_files", {})
        const answers = yield* Effect.forEach(
          yield* sessions,
          (operations) => call(operations, "exec", { command: "echo ran" }),
          atOnce,
        )
        assert.deepStrictEqual(
          answers.map(({ code, stdout }) => code ?? stdout),
          answers.map(() => "ran\n"),
        )
        const late = yield* Effect.forEach(
          yield* sessions,
          (operations) => call(operations, "exec", { command: "true" }),
          atOnce,
        )
        for (const answer of late) assert.propertyVal(answer, "code", "capacity")
        assert.lengthOf(yield* Container.list, places)
      }),
  )
})
