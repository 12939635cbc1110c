import { assert, describe, it } from "@effect/vitest"
import { Either } from "effect"
import { replaced, replacements } from "../../../src/tools/files/Edits.ts"
import { parse } from "../../../src/tools/files/Patch.ts"
import { patched } from "../../../src/tools/files/PatchedFile.ts"
import { unifiedDiff } from "../../../src/tools/files/UnifiedDiff.ts"

/** The same numbers in each run. */
const numbers = (seed: number) => {
  let state = seed
  return (below: number) => {
    state = (state * 16_807) % 2_147_483_647
    return state % below
  }
}

describe("UnifiedDiff", () => {
  it("says exactly what replacements change, whatever they are", () => {
    const below = numbers(7)
    let count = 0
    while (count < 2000) {
      const lines = Array.from({ length: 1 + below(40) }, () => "abcdefg"[below(7)]!.repeat(1 + below(2)))
      const text = lines.join("\n") + (below(2) === 0 ? "" : "\n")
      const edits = Array.from({ length: 1 + below(3) }, () => {
        const from = below(text.length)
        const old_text = text.slice(from, from + 1 + below(8))
        const new_text = ["", "x", "x\ny\n", "\n", old_text.replace("a", "Q")][below(5)]!
        return { old_text, new_text, replace_all: below(2) === 0 }
      })
      const file = Buffer.from(text)
      const found = replacements(file, edits)
      if (Either.isLeft(found)) continue
      const edited = replaced(file, found.right)
      if (edited.equals(file)) continue
      const { cut, diff } = unifiedDiff("a", file, found.right, 100_000)
      const again = Either.flatMap(parse(diff), ([part]) => patched(file, part!.hunks))
      assert.deepStrictEqual(
        Either.map(again, (bytes) => bytes.toString()),
        Either.right(edited.toString()),
        JSON.stringify({ text, edits, diff }),
      )
      assert.isFalse(cut)
      count++
    }
  })
})
