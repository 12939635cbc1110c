import { assert, describe, it } from "@effect/vitest"
import { Either } from "effect"
import { patched } from "../../../src/tools/files/PatchedFile.ts"
import type { Hunk } from "../../../src/tools/files/Patch.ts"

describe("PatchedFile", () => {
  const file = Buffer.from(
    Array.from({ length: 200_000 }, (_, line) => `line ${String(line).padStart(7, "0")}\n`).join(""),
  )
  /** Each stands some lines from where it says, now before and now behind. */
  const hunk = (line: number, off: number): Hunk => ({
    at: 1,
    before: line + off,
    rows: [
      { mark: "-", line: `line ${String(line).padStart(7, "0")}\n` },
      { mark: "+", line: "new\n" },
    ],
  })

  it("finds the places of a few hunks that stand elsewhere", () => {
    const done = patched(file, [hunk(10, 3), hunk(20, 10)])
    assert.isTrue(Either.isRight(done))
  })

  it("does not look through a large file for each of very many", () => {
    const hunks = Array.from({ length: 5000 }, (_, index) => hunk(10 * index, index % 2 === 0 ? 3 : 7))
    const done = patched(file, hunks)
    assert.include(Either.getOrElse(Either.flip(done), () => "applied").toString(), "many before it")
  })
})
