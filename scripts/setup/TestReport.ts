/** What vitest reports about a run, as numbers. */
import { Effect, Schema } from "effect"
import { readFileSync } from "node:fs"

export interface TestCounts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** The full titles of those that were skipped. */
  readonly skippedTitles: ReadonlyArray<string>
}

/** Of a run that could not be counted. */
export const none: TestCounts = { passed: 0, failed: 1, skipped: 0, skippedTitles: [] }

/** Reads vitest's JSON report; a file that failed outside its tests counts as one failure. */
export const read = (file: string): Effect.Effect<TestCounts, unknown> =>
  Effect.try(() => readFileSync(file, "utf8")).pipe(
    Effect.flatMap(Schema.decode(Schema.parseJson(Report))),
    Effect.map((report) => ({
      passed: report.numPassedTests,
      failed: report.numFailedTests + report.testResults.filter(failedOutside).length,
      skipped: report.numPendingTests + report.numTodoTests,
      skippedTitles: report.testResults.flatMap(({ assertionResults }) =>
        assertionResults.filter(({ status }) => skips.has(status)).map(({ fullName }) => fullName),
      ),
    })),
  )

/** The closing line of a run. */
export const closingLine = ({ passed, failed, skipped }: TestCounts): string =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`

const FileReport = Schema.Struct({
  status: Schema.String,
  assertionResults: Schema.Array(Schema.Struct({ status: Schema.String, fullName: Schema.String })),
})

const Report = Schema.Struct({
  numPassedTests: Schema.Int,
  numFailedTests: Schema.Int,
  numPendingTests: Schema.Int,
  numTodoTests: Schema.Int,
  testResults: Schema.Array(FileReport),
})

const failedOutside = ({ status, assertionResults }: typeof FileReport.Type) =>
  status === "failed" && assertionResults.every((result) => result.status !== "failed")

const skips = new Set(["pending", "skipped", "todo"])
