/** What a run of tests came to. Whoever runs tests inside an operation of its own gets this from `runTests`. */
import { Schema } from "effect"

export const RunnerName = Schema.Literal("pytest", "unittest", "vitest", "jest", "node", "go", "cargo")
export type RunnerName = typeof RunnerName.Type

/** A test that failed, or that could not be run for want of what it stands on. */
export interface TestFailure {
  /** As the runner names it, and as `run_failed_tests` names it to the runner. */
  readonly id: string
  /** Where it failed, relative to the folder that the tests ran in; absolute where that is elsewhere. */
  readonly file?: string
  readonly line?: number
  readonly message: string
  /** The runner's own account of it, cut where it is long. */
  readonly trace?: string
  readonly expected?: string
  readonly got?: string
}

/** Why tests could not be run at all: no test of its own, but a file that cannot be read, built or imported. */
export interface SuiteError extends Omit<TestFailure, "id" | "expected" | "got"> {
  /** The file or package whose tests could not be run, as the runner names it. */
  readonly suite?: string
}

export interface TestCounts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** Tests whose preparation failed, and suites that could not start. */
  readonly errors: number
}

export interface TestReport {
  readonly runner: RunnerName | "junit"
  /** `finished`: the runner came to its end. Otherwise the rest says what was known until then. */
  readonly status: "finished" | "timed_out" | "cancelled"
  /** None failed, and the runner says so too. Where none ran, only if that was to be expected. */
  readonly passed: boolean
  readonly counts: TestCounts
  /** Wall time in milliseconds. */
  readonly durationMs: number
  readonly failures: ReadonlyArray<TestFailure>
  readonly errors: ReadonlyArray<SuiteError>
  /** Failures that are counted, but not kept: there were too many. */
  readonly unnamed: number
  /** What else the caller should know, in sentences. */
  readonly notes: ReadonlyArray<string>
}

/** The report in one line. */
export const verdictOf = ({ counts, durationMs, passed, runner, status }: TestReport) => {
  const { errors, failed, skipped } = counts
  const total = counts.passed + failed + skipped
  const parts = [
    `${counts.passed} passed`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(errors > 0 ? [`${errors} ${errors === 1 ? "error" : "errors"}`] : []),
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
  ]
  const word = status === "finished" ? (passed ? "PASSED" : "FAILED") : ends[status]
  return `${word} (${runner}): ${total === 0 ? "no test ran" : ""}${
    total === 0 ? (errors > 0 ? `, ${parts.slice(1).join(", ")}` : "") : parts.join(", ")
  } in ${(durationMs / 1000).toFixed(1)} s`
}

const ends = { timed_out: "TIMED OUT", cancelled: "CANCELLED" } as const
