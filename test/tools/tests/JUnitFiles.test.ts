import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { readJUnit } from "../../../src/tools/tests/JUnitFiles.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"

const MiB = 1024 * 1024

describe("JUnitFiles", () => {
  it.effect(
    "reads no more than 64 MiB of all reports that a pattern finds, and says what it has left out",
    () =>
      Effect.gen(function* () {
        const asked: Array<number> = []
        const sandbox = FakeSandbox.make({
          files: {
            glob: () =>
              Effect.succeed({
                paths: Array.from({ length: 100 }, (_, index) => `r${index}.xml`),
                truncated: false,
              }),
            stat: (path) =>
              Effect.succeed({
                kind: "file",
                size: (path.endsWith("/r0.xml") ? 40 : 20) * MiB,
                mode: 0o644,
                modified: 0,
                path,
              }),
            stream: (_, __, length) => {
              asked.push(length / MiB)
              return Stream.make(Buffer.from('<testsuite><testcase name="a"/></testsuite>'))
            },
          },
        })
        const { counts, notes } = yield* readJUnit(sandbox, "*.xml")
        assert.deepStrictEqual(asked, [32, 20, 12])
        assert.strictEqual(counts?.passed, 3)
        assert.include(notes, `r0.xml is read as far as its first ${32 * MiB} bytes.`)
        assert.include(notes, `r2.xml is read as far as its first ${12 * MiB} bytes.`)
        assert.include(
          notes,
          `The first 3 reports are read, which have ${64 * MiB} bytes: name fewer for the rest.`,
        )
      }),
  )
})
