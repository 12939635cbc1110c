import { assert, describe, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { objectsBy } from "../../src/tools/JsonObject.ts"

const Fact = Schema.Struct({ id: Schema.String })

describe("JsonObject", () => {
  it("reads what fits, and passes over what is no object, however often", () => {
    const read = objectsBy(Fact)
    for (let count = 0; count < 50_000; count++) assert.isTrue(Option.isNone(read("x")))
    for (const text of ["{", "}", "[]", "{x}", '{"id":1}']) assert.isTrue(Option.isNone(read(text)))
    assert.deepStrictEqual(read('{"id":"a"}'), Option.some({ id: "a" }))
  })

  it("gives up a text that is full of what only looks like it", () => {
    const read = objectsBy(Fact)
    for (let count = 0; count < 2000; count++) assert.isTrue(Option.isNone(read("{x}")))
    assert.isTrue(Option.isNone(read('{"id":"a"}')))
  })
})
