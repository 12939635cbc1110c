/** Reads the reports in JUnit's XML that a caller's own command has left in the workspace. */
import { Effect, Schema, Stream } from "effect"
import type { Sandbox } from "../../sandbox/Sandbox.ts"
import { absolute } from "../Tool.ts"
import { Collector } from "./Collector.ts"
import { JUnit } from "./reports/JUnit.ts"
import type { TestReport } from "./TestReport.ts"

/** All tests of a report, or of all that a glob pattern finds below /workspace. */
export const readJUnit = Effect.fnUntraced(function* ({ files }: Sandbox, path: string) {
  const found = /[*?[{]/.test(path)
    ? (yield* files.glob("/workspace", path.replace(/^\/workspace\//, ""), maxFiles)).paths
    : [path]
  if (found.length === 0) return yield* new NoReport({ path })
  const collector = new Collector()
  if (found.length === maxFiles) collector.note(`The first ${maxFiles} reports are read.`)
  let durationMs = 0
  let left = maxTotal
  for (const [index, one] of found.entries()) {
    if (left === 0) {
      collector.note(
        `The first ${index} reports are read, which have ${maxTotal} bytes: name fewer for the rest.`,
      )
      break
    }
    const { size } = yield* files.stat(absolute(one))
    const length = Math.min(size, maxBytes, left)
    left -= length
    if (size > length) collector.note(`${one} is read as far as its first ${length} bytes.`)
    const reader = new JUnit(collector)
    yield* Stream.runForEach(files.stream(absolute(one), 0, length), (piece) =>
      Effect.sync(() => reader.push(piece)),
    )
    reader.end()
    durationMs += reader.durationMs
  }
  const { errors, failed, passed, skipped } = collector.counts
  if (passed + failed + errors + skipped === 0) collector.error({ message: "The report names no test." })
  return {
    runner: "junit",
    status: "finished",
    passed: passed + skipped > 0 && failed + errors === 0,
    counts: collector.counts,
    durationMs,
    failures: collector.failures,
    errors: collector.errors,
    unnamed: collector.unnamed,
    notes: collector.notes,
  } satisfies TestReport
})

const maxFiles = 100
/** Of one report, and of all. */
const maxBytes = 32 * 1024 * 1024
const maxTotal = 64 * 1024 * 1024

class NoReport extends Schema.TaggedError<NoReport>()("NoReport", { path: Schema.String }) {
  override get message() {
    return `No report fits ${this.path}.`
  }
  readonly next = "Look with list_files for the XML that your command wrote, and name it as `junit`."
}
