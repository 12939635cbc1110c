/** What a run of tests came to, by its report and by how its program ended. */
import type { CommandEnd } from "../../domain/Command.ts"
import type { Collector } from "./Collector.ts"
import type { Runner, RunnerOutput } from "./Runner.ts"
import type { TestReport } from "./TestReport.ts"

/**
 * An end that the report does not account for is an error of its own. So is a run of no test, unless it `mayBeNone`:
 * then it is fine where the program ends well.
 */
export const reportOf = (
  runner: Runner,
  collector: Collector,
  end: CommandEnd,
  output: RunnerOutput,
  mayBeNone = false,
): TestReport => {
  const isWhole = end._tag === "Exited" || end._tag === "Signalled" || end._tag === "TooMuchOutput"
  if (isWhole) {
    runner.explain?.(output, collector)
    const { errors, failed, passed, skipped } = collector.counts
    if (failed + errors === 0 && (output.code !== 0 || (passed + skipped === 0 && !mayBeNone))) {
      const said = (output.stderr.trim() || output.stdout.trim()).slice(-4000)
      collector.error({
        message:
          output.code === 0 || said === ""
            ? passed + skipped === 0
              ? "No tests were found."
              : `${runner.name} failed (${endOf(end)}).`
            : `${runner.name} failed (${endOf(end)}): ${said.split("\n").at(-1)}`,
        ...(said === "" ? {} : { trace: said }),
      })
    }
  }
  const { counts } = collector
  return {
    runner: runner.name,
    status: end._tag === "TimedOut" ? "timed_out" : end._tag === "Cancelled" ? "cancelled" : "finished",
    passed: isWhole && output.code === 0 && counts.failed + counts.errors === 0,
    counts,
    durationMs: end.durationMs,
    failures: collector.failures,
    errors: collector.errors,
    unnamed: collector.unnamed,
    notes: collector.notes,
  }
}

const endOf = (end: CommandEnd) =>
  end._tag === "Exited" ? `exit code ${end.code}` : end._tag === "Signalled" ? end.signal : "too much output"
