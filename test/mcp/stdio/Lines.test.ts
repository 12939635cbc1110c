import { assert, describe, it } from "@effect/vitest"
import { Lines } from "../../../src/mcp/stdio/Lines.ts"

const cut = (lines: Lines, ...parts: ReadonlyArray<string | Buffer>) =>
  parts.flatMap((part) => lines.push(Buffer.from(part as string)))

describe("Lines", () => {
  it("gives lines whole however their bytes come, also where a character is cut", () => {
    const bytes = Buffer.from("one\ntwö\r\n\nthree")
    const lines = new Lines(100)
    const found = [...bytes].flatMap((byte) => lines.push(Buffer.of(byte)))
    assert.deepStrictEqual(found, ["one", "twö\r", ""])
    assert.deepStrictEqual(cut(lines, "!\nfour\n"), ["three!", "four"])
  })

  it("gives undefined for a line past the limit, and the next one as ever", () => {
    const lines = new Lines(4)
    assert.deepStrictEqual(cut(lines, "1234\n12345\n"), ["1234", undefined])
    assert.deepStrictEqual(cut(lines, "12345", "6".repeat(100), "\n123", "4\n"), [undefined, "1234"])
  })
})
