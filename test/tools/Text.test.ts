import { assert, describe, it } from "@effect/vitest"
import { textOf } from "../../src/tools/Text.ts"

describe("Text", () => {
  it("is what bytes say that can be had back from it, with its mark of byte order", () => {
    for (const text of ["", "grün", "\ufeffa", "\ufffd"]) assert.strictEqual(textOf(Buffer.from(text)), text)
    const part = new Uint8Array(Buffer.from("xgrünx")).subarray(1, 6)
    assert.strictEqual(textOf(part), "grün")
  })

  it("is none where bytes are no UTF-8, or hold a NUL", () => {
    for (const bytes of [[0xff], [0xc3], [0x61, 0], [0xed, 0xa0, 0x80]])
      assert.isUndefined(textOf(Uint8Array.from(bytes)))
  })
})
