/** What the tools answer of a run of tests: as much of the report as an answer takes, and every failure's name. */
import { Schema } from "effect"
import { within } from "../Room.ts"
import { cut } from "./Collector.ts"
import { RunnerName, type SuiteError, type TestFailure, type TestReport, verdictOf } from "./TestReport.ts"

const place = {
  file: Schema.optional(Schema.String),
  line: Schema.optional(Schema.Number),
  message: Schema.optional(Schema.String),
  trace: Schema.optional(Schema.String),
}

/** The report's own fields of an answer. */
export const reportFields = {
  runner: Schema.optional(Schema.Literal(...RunnerName.literals, "junit")),
  verdict: Schema.String.annotations({ description: "All in one line." }),
  passed: Schema.optional(
    Schema.Boolean.annotations({ description: "Tests ran and none failed; absent while they run." }),
  ),
  counts: Schema.optional(
    Schema.Struct({
      passed: Schema.Number,
      failed: Schema.Number,
      skipped: Schema.Number,
      errors: Schema.Number,
    }),
  ),
  duration_ms: Schema.Number,
  failures: Schema.Array(
    Schema.Struct({
      id: Schema.String,
      ...place,
      expected: Schema.optional(Schema.String),
      got: Schema.optional(Schema.String),
    }),
  ),
  errors: Schema.Array(Schema.Struct({ suite: Schema.optional(Schema.String), ...place })).annotations({
    description: "Why tests could not run: what does not load, build or start.",
  }),
  note: Schema.optional(Schema.String.annotations({ description: "What is left out, or what to do next." })),
}

/**
 * The report in at most `limit` characters of JSON. Traces are cut first, then what was expected and got, then
 * messages; then only ids stay, and at last the first of them.
 */
export const shown = (report: TestReport, limit: number) => {
  for (const level of levels) {
    const fitting = render(report, level)
    if (JSON.stringify(fitting).length <= limit) return fitting
  }
  const room = limit - JSON.stringify(render({ ...report, failures: [], errors: [] }, ids)).length - 500
  const named = within(render(report, ids).failures, room * 0.8)
  const errors = within(render(report, shortest).errors, room * 0.2)
  return {
    ...render(
      { ...report, failures: [], errors: [] },
      {
        ...ids,
        said: `The first ${named.length} of ${report.failures.length + report.unnamed} failures are named; narrow by \`path\` or \`name\` to see others.`,
      },
    ),
    failures: named,
    errors,
  }
}

/** Characters that each text may have; undefined leaves it out. */
interface Level {
  readonly trace?: number
  readonly sides?: number
  readonly message?: number
  readonly said?: string
}

const ids: Level = {}
const shortest: Level = { message: 200 }
const levels: ReadonlyArray<Level> = [
  { trace: 3000, sides: 1000, message: 2000 },
  { trace: 1000, sides: 500, message: 1000, said: "Long traces and messages are cut." },
  { trace: 300, sides: 300, message: 500, said: "Traces and messages are cut." },
  { sides: 200, message: 300, said: "Traces are left out, and messages cut." },
  { message: 100, said: "Only the beginnings of messages are shown." },
  { ...ids, said: "Only the names of the failed tests are shown." },
]

const render = (report: TestReport, { said, ...level }: Level) => {
  const cutNote =
    said === undefined
      ? []
      : [`${said} Narrow by \`path\` or \`name\` for all of them; read_output has the runner's own output.`]
  const unnamed = report.unnamed === 0 ? [] : [`${report.unnamed} more failures are counted, but not named.`]
  const note = [...report.notes, ...unnamed, ...cutNote].join(" ")
  return {
    runner: report.runner,
    verdict: verdictOf(report),
    passed: report.passed,
    counts: report.counts,
    duration_ms: Math.round(report.durationMs),
    failures: report.failures.map(({ id, ...rest }) => ({ id, ...parts(rest, level) })),
    errors: report.errors.map(({ suite, ...error }) => ({
      ...(suite === undefined || suite === error.file ? {} : { suite }),
      ...parts(error, level),
    })),
    ...(note === "" ? {} : { note }),
  }
}

const parts = (
  { expected, file, got, line, message, trace }: Omit<TestFailure, "id"> & SuiteError,
  level: Omit<Level, "said">,
) => ({
  ...(file === undefined ? {} : { file }),
  ...(line === undefined ? {} : { line }),
  ...text("message", message, level.message),
  ...text("expected", expected, level.sides),
  ...text("got", got, level.sides),
  ...text("trace", trace === message ? undefined : trace, level.trace),
})

const text = <K extends string>(key: K, value: string | undefined, limit: number | undefined) =>
  (value === undefined || limit === undefined ? {} : { [key]: cut(value, limit) }) as {
    readonly [P in K]?: string
  }
