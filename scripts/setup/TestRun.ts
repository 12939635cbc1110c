/** One run of vitest, and what it counted. */
import { Effect } from "effect"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import * as Child from "../process/Child.ts"
import * as Project from "../process/Project.ts"
import type { StartError } from "../process/StartError.ts"
import * as TestReport from "./TestReport.ts"

export interface TestRunOptions {
  /** Of vitest. */
  readonly args: ReadonlyArray<string>
  /** What the tests get besides the environment of this script. */
  readonly environment: Readonly<Record<string, string>>
  /** An empty folder that is there for as long as the tests run. */
  readonly folder: string
}

/** Runs the tests, which write to the terminal. A run that ends badly failed at least once. */
export const run = (options: TestRunOptions): Effect.Effect<TestReport.TestCounts, StartError> =>
  Effect.gen(function* () {
    const temporary = join(options.folder, "tmp")
    yield* Effect.sync(() => mkdirSync(temporary, { recursive: true, mode: 0o1777 }))
    const report = join(options.folder, "report.json")
    const vitest = yield* Child.start({
      command: process.execPath,
      args: [
        join(Project.root, "node_modules/vitest/vitest.mjs"),
        "run",
        "--reporter=default",
        "--reporter=json",
        `--outputFile.json=${report}`,
        ...options.args,
      ],
      cwd: Project.root,
      env: { ...process.env, ...options.environment, TMPDIR: temporary },
      output: "terminal",
      stopWithin: "60 seconds",
    })
    const { code } = yield* vitest.exited
    const counts = yield* Effect.orElseSucceed(TestReport.read(report), () => TestReport.none)
    return code === 0 || counts.failed > 0 ? counts : { ...counts, failed: 1 }
  }).pipe(Effect.scoped)
