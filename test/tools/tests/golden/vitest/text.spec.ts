import { beforeAll, describe, expect, it } from "vitest"
import { first, shorten, type Options } from "./text.ts"

const options: Options = { limit: 3 }

describe("shorten", () => {
  it("keeps what is short", () => {
    expect(shorten("ab", options)).toBe("ab")
  })
  it("cuts (what is long)", () => {
    expect(shorten("abcdef", options)).toBe("abc")
  })
  it.skip("keeps words", () => {})
})

describe("first", () => {
  it("is the first word", () => {
    expect(first(["a", "b"])).toEqual("a")
  })
  it("needs a word", () => {
    first([])
  })
})

describe("a store", () => {
  beforeAll(() => {
    throw new Error("no store")
  })
  it("is there", () => {})
})
