import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Layer } from "effect"
import { createHash } from "node:crypto"
import { Principals } from "../../src/mcp/Principals.ts"
import { explain } from "../../src/node/StartFailure.ts"
import * as TestNode from "../support/TestNode.ts"

const hash = (secret: string) => createHash("sha256").update(secret).digest("hex")

const principals = (tokens: string | undefined) =>
  Effect.provide(
    Principals,
    Principals.layer.pipe(
      Layer.provide(TestNode.settings(tokens === undefined ? {} : { API_TOKENS: tokens })),
    ),
  )

describe("Principals", () => {
  it.effect("calls everyone `local` where no token is set, also one who shows a token", () =>
    Effect.gen(function* () {
      const { guarded, of } = yield* principals(undefined)
      assert.isFalse(guarded)
      assert.strictEqual(of(undefined), "local")
      assert.strictEqual(of("Bearer anything"), "local")
    }),
  )

  it.effect("tells the owners of several tokens apart", () =>
    Effect.gen(function* () {
      const { guarded, of } = yield* principals(`ann:${hash("one")}, bob:${hash("two").toUpperCase()}`)
      assert.isTrue(guarded)
      assert.strictEqual(of("Bearer one"), "token:ann")
      assert.strictEqual(of("bearer  two "), "token:bob")
    }),
  )

  it.effect("lets several tokens of one id in, so that a token can be replaced", () =>
    Effect.gen(function* () {
      const { of } = yield* principals(`ann:${hash("old")},ann:${hash("new")}`)
      assert.deepStrictEqual([of("Bearer old"), of("Bearer new")], ["token:ann", "token:ann"] as never)
    }),
  )

  it.effect("knows nobody by a wrong, missing or malformed header", () =>
    Effect.gen(function* () {
      const { of } = yield* principals(`ann:${hash("one")}`)
      const headers = [
        undefined,
        "",
        "one",
        "Bearer",
        "Bearer ",
        "Bearer two",
        "Bearer ONE",
        "Bearer one two",
        "Bearer one,",
        "Basic one",
        `Bearer ${hash("one")}`,
        `Bearer ann:${hash("one")}`,
        " Bearer one",
      ]
      for (const header of headers) assert.isUndefined(of(header), String(header))
    }),
  )

  for (const [what, tokens] of [
    ["a token without a hash", "ann"],
    ["a hash that is too short", `ann:${"a".repeat(63)}`],
    ["a secret in place of its hash", "ann:my-secret"],
    ["an id with a space", `a nn:${"a".repeat(64)}`],
    ["one bad token among good ones", `ann:${"a".repeat(64)},bob`],
    ["a token without an id", `:${"a".repeat(64)}`],
  ] as const) {
    it.effect(`refuses ${what} in one line that names API_TOKENS and not the token`, () =>
      Effect.gen(function* () {
        const message = explain(Cause.fail(yield* Effect.flip(principals(tokens))))
        assert.match(message, /^API_TOKENS: .*id:sha256/)
        assert.notInclude(message, tokens)
      }),
    )
  }
})
