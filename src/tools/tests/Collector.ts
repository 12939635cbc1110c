/**
 * Gathers what a report says, test by test, in bounded memory: a report comes out of a sandbox, and may be of any
 * length and say anything. Texts are cut, and where there are very many failures only their names are kept.
 */
import type { SuiteError, TestCounts, TestFailure } from "./TestReport.ts"

export class Collector {
  readonly failures: Array<TestFailure> = []
  readonly errors: Array<SuiteError> = []
  readonly notes: Array<string> = []
  /** Tests that are going to run, where the runner says it. */
  total: number | undefined
  private readonly counted = { passed: 0, failed: 0, skipped: 0, error: 0 }
  private suiteErrors = 0
  private unnamedTests = 0
  /** Characters of text that may still be kept. */
  private room = maxText

  count(state: "passed" | "skipped", by = 1) {
    this.counted[state] += by
  }

  /** A test that failed; of state `error` where what it stands on did. */
  fail(failure: TestFailure, state: "failed" | "error" = "failed") {
    this.counted[state]++
    if (this.failures.length < maxFailures)
      this.failures.push({ id: cut(failure.id, 500), ...this.kept(failure) })
    else this.unnamedTests++
  }

  error(error: SuiteError) {
    this.suiteErrors++
    if (this.errors.length < maxErrors)
      this.errors.push({
        ...(error.suite === undefined ? {} : { suite: cut(error.suite, 500) }),
        ...this.kept(error),
      })
  }

  note(sentence: string) {
    if (this.notes.length < maxNotes && !this.notes.includes(sentence)) this.notes.push(cut(sentence, 500))
  }

  /** More than names are kept: a reader need not look for more otherwise. */
  get hasRoom() {
    return this.room > 0
  }

  /** Failures that were counted, and not kept. */
  get unnamed() {
    return this.unnamedTests
  }

  /** Nothing came. */
  get isEmpty() {
    const { errors, failed, passed, skipped } = this.counts
    return errors + failed + passed + skipped === 0
  }

  get counts(): TestCounts {
    const { error, ...rest } = this.counted
    return { ...rest, errors: error + this.suiteErrors }
  }

  private kept({
    expected,
    file,
    got,
    line,
    message,
    trace,
  }: Omit<TestFailure, "id">): Omit<TestFailure, "id"> {
    const short = this.room > 0 ? 1 : 0.1
    const text = (value: string, limit: number) => {
      const shown = cut(value.trimEnd(), limit * short)
      this.room -= shown.length
      return shown
    }
    return {
      ...(file === undefined || file === "" ? {} : { file: cut(file, 500) }),
      ...(line === undefined || !Number.isSafeInteger(line) || line < 0 ? {} : { line }),
      message: text(message, 2000),
      ...(trace === undefined || trace === "" || this.room <= 0 ? {} : { trace: text(trace, 3000) }),
      ...(expected === undefined ? {} : { expected: text(expected, 1000) }),
      ...(got === undefined ? {} : { got: text(got, 1000) }),
    }
  }
}

/** A text of at most `limit` characters: its beginning and its end, with what is missing between. */
export const cut = (text: string, limit: number) => {
  if (text.length <= limit) return text
  const half = Math.floor((limit - 20) / 2)
  if (half < 20) return text.slice(0, limit)
  return `${wellFormed(text.slice(0, half))} … ${text.length - 2 * half} more … ${wellFormed(text.slice(-half))}`
}

/** Without the half of a character that a cut leaves. */
const wellFormed = (text: string) => Buffer.from(text).toString()

const maxFailures = 10_000
const maxErrors = 1000
const maxNotes = 10
const maxText = 4_000_000
