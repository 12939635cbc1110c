import { assert, describe, it } from "@effect/vitest"
import { Stillness } from "../../src/sandbox/Stillness.ts"

describe("Stillness", () => {
  it("is what the agent said as the last thing ended, until something begins", () => {
    const stillness = new Stillness()
    assert.isFalse(stillness.isAt("a"))
    stillness.begin()
    stillness.end("a")
    assert.isTrue(stillness.isAt("a"))
    assert.isFalse(stillness.isAt("b"))
    stillness.begin()
    assert.isFalse(stillness.isAt("a"))
    stillness.end(null)
    assert.isFalse(stillness.isAt("a"))
  })

  it("is not known while something else is under way, whatever was said meanwhile", () => {
    const stillness = new Stillness()
    stillness.begin()
    stillness.begin()
    stillness.end("a")
    assert.isFalse(stillness.isAt("a"))
    stillness.end(null)
    assert.isFalse(stillness.isAt("a"))
    // The agent said so before the other one began, and was heard after that had ended.
    stillness.begin()
    stillness.begin()
    stillness.end(null)
    stillness.end("a")
    assert.isFalse(stillness.isAt("a"))
    stillness.begin()
    stillness.end("a")
    assert.isTrue(stillness.isAt("a"))
  })
})
