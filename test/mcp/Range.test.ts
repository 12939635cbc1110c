import { assert, describe, it } from "@effect/vitest"
import { rangeOf } from "../../src/mcp/Range.ts"

describe("Range", () => {
  it("gives the part of a file that is asked for", () => {
    assert.deepStrictEqual(rangeOf("bytes=0-4", 10), { begin: 0, length: 5 })
    assert.deepStrictEqual(rangeOf("bytes=3-", 10), { begin: 3, length: 7 })
    assert.deepStrictEqual(rangeOf("bytes=-3", 10), { begin: 7, length: 3 })
    assert.deepStrictEqual(rangeOf("bytes=-30", 10), { begin: 0, length: 10 })
    assert.deepStrictEqual(rangeOf("bytes=9-99", 10), { begin: 9, length: 1 })
  })

  it("knows that there is no such part", () => {
    for (const header of ["bytes=10-", "bytes=10-20", "bytes=-0"])
      assert.strictEqual(rangeOf(header, 10), "none")
    assert.strictEqual(rangeOf("bytes=0-0", 0), "none")
  })

  it("gives the whole file where none, several, or nonsense is asked for", () => {
    for (const header of [undefined, "bytes=-", "bytes=1-2,4-5", "bytes=5-2", "lines=1-2", "bytes=a-b", ""]) {
      assert.isUndefined(rangeOf(header, 10), header)
    }
  })
})
