/** Reports of runners that the default image lacks, as real runs of the golden projects left them. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Collector } from "../../../src/tools/tests/Collector.ts"
import type { Runner } from "../../../src/tools/tests/Runner.ts"
import { cargoTest } from "../../../src/tools/tests/runners/CargoTest.ts"
import { goTest } from "../../../src/tools/tests/runners/GoTest.ts"
import { jest } from "../../../src/tools/tests/runners/Jest.ts"
import { vitest } from "../../../src/tools/tests/runners/Vitest.ts"
import * as Expected from "./Expected.ts"
import { briefly } from "./Golden.ts"

/** Reads a report, in pieces of `size` bytes. */
const read = (runner: Runner, project: string, file: string, size: number) => {
  const collector = new Collector()
  const reader = runner.reader(collector, `/workspace/${project}`)
  const report = readFileSync(join(import.meta.dirname, "recorded", file))
  for (let at = 0; at < report.length; at += size) reader.push(report.subarray(at, at + size))
  reader.end()
  return briefly(collector)
}

const reports = [
  { runner: vitest, project: "vitest", file: "vitest-3.2.txt", expected: Expected.vitest },
  { runner: jest, project: "jest", file: "jest-30.txt", expected: Expected.jest },
  { runner: goTest, project: "go", file: "go-1.26.txt", expected: Expected.go },
  { runner: cargoTest, project: "cargo", file: "cargo-0.66.txt", expected: Expected.cargo },
  { runner: cargoTest, project: "cargo", file: "cargo-1.95.txt", expected: Expected.cargo },
  {
    runner: cargoTest,
    project: "cargo-broken",
    file: "cargo-broken-0.66.txt",
    expected: Expected.cargoBroken,
  },
  {
    runner: cargoTest,
    project: "cargo-broken",
    file: "cargo-broken-1.95.txt",
    expected: Expected.cargoBroken,
  },
]

describe("A recorded report", () => {
  for (const { expected, file, project, runner } of reports) {
    it(`of ${file} names exactly what fails, in whatever pieces it comes`, () => {
      for (const size of [1_000_000, 997, 1])
        assert.deepStrictEqual(read(runner, project, file, size), expected)
    })
  }

  it("of Go before 1.24 leaves it to stderr why a package was not built", () => {
    const collector = new Collector()
    goTest.explain?.(
      {
        code: 1,
        stdout: "",
        stderr: "# example.com/shop/broken\nbroken/broken.go:4:9: undefined: missing\n",
      },
      collector,
    )
    assert.deepStrictEqual(
      { ...read(goTest, "go", "go-1.19.txt", 100), errors: briefly(collector).errors },
      { ...Expected.go, counts: { ...Expected.go.counts, errors: 0 } },
    )
  })
})
