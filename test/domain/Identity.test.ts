import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import {
  ConnectionId,
  Incarnation,
  NodeId,
  OperationId,
  randomId,
  SessionId,
} from "../../src/domain/Identity.ts"
import { SessionName } from "../../src/domain/Session.ts"

describe("Identity", () => {
  it.effect("makes ids of 128 random bits that fit their schemas", () =>
    Effect.gen(function* () {
      const ids = yield* Effect.replicateEffect(randomId("s_"), 1000)
      assert.strictEqual(new Set(ids).size, 1000)
      for (const id of ids) assert.isTrue(Schema.is(SessionId)(id))
      assert.isTrue(Schema.is(ConnectionId)(yield* randomId("c_")))
      assert.isTrue(Schema.is(OperationId)(yield* randomId("o_")))
      assert.isTrue(Schema.is(Incarnation)(yield* randomId("i_")))
    }),
  )

  it("refuses ids with anything before, after or between", () => {
    const good = `s_${"0".repeat(32)}`
    for (const bad of [`${good}\n`, ` ${good}`, good.toUpperCase(), good.slice(1), `${good}0`, "s_", ""]) {
      assert.isFalse(Schema.is(SessionId)(bad), JSON.stringify(bad))
    }
    for (const bad of ["", "a b", "a/b", "é", "x".repeat(65), "a\n"]) {
      assert.isFalse(Schema.is(OperationId)(bad), JSON.stringify(bad))
    }
    for (const bad of ["", ".hidden", "-dash", "a/b", "x".repeat(64), "a\n"]) {
      assert.isFalse(Schema.is(NodeId)(bad), JSON.stringify(bad))
    }
    for (const bad of ["", ".hidden", "a b", "ä", "x".repeat(65), "a\n"]) {
      assert.isFalse(Schema.is(SessionName)(bad), JSON.stringify(bad))
    }
  })
})
