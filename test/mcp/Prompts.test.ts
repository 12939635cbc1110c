import { assert, describe, it } from "@effect/vitest"
import { get, listing } from "../../src/mcp/Prompts.ts"

describe("Prompts", () => {
  for (const { arguments: given = [], description, name, title } of listing) {
    it(`fills in ${name}, with and without what may be left out`, () => {
      assert.isNotEmpty(title)
      assert.isNotEmpty(description)
      const required = given.filter(({ required }) => required === true)
      for (const named of [required, given]) {
        const values = Object.fromEntries(named.map(({ name }) => [name, `the ${name}`]))
        const [message] = get(name, values).messages
        const text = message?.content.type === "text" ? message.content.text : ""
        for (const value of Object.values(values)) assert.include(text, value)
        assert.notInclude(text, "undefined")
      }
    })
  }

  it("names what there is, and what is missing", () => {
    assert.throws(() => get("none"), /start_project/)
    assert.throws(() => get("start_project"), /goal/)
  })
})
