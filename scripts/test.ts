/** Runs the tests with a real engine, and a real Postgres that is thrown away. The last line on stdout counts them. */
import { Effect } from "effect"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import * as Child from "./process/Child.ts"
import * as Project from "./process/Project.ts"
import { run } from "./process/Script.ts"
import * as EmbeddedPostgres from "./setup/EmbeddedPostgres.ts"
import * as Machine from "./setup/Machine.ts"
import * as TemporaryFolder from "./setup/TemporaryFolder.ts"
import * as TestImage from "./setup/TestImage.ts"
import * as TestReport from "./setup/TestReport.ts"

const all = Effect.gen(function* () {
  const args = process.argv.slice(2).filter((arg) => arg !== "--no-install")
  const machine = yield* Machine.prepare({ install: !process.argv.includes("--no-install") })
  const folder = yield* TemporaryFolder.make
  const postgres = yield* EmbeddedPostgres.start(join(folder, "postgres"))
  const image = yield* TestImage.make(machine.engine, machine.sandboxImage)
  const temporary = join(folder, "tmp")
  yield* Effect.sync(() => mkdirSync(temporary, { mode: 0o1777 }))
  const report = join(folder, "report.json")
  const vitest = yield* Child.start({
    command: process.execPath,
    args: [
      join(Project.root, "node_modules/vitest/vitest.mjs"),
      "run",
      ...reporters(report),
      ...tiers(args),
      ...args,
    ],
    cwd: Project.root,
    env: {
      ...process.env,
      ...machine.environment,
      TEST_DATABASE_URL: postgres.url,
      SANDBOX_IMAGE: image,
      TMPDIR: temporary,
    },
    output: "terminal",
    stopWithin: "60 seconds",
  })
  const { code } = yield* vitest.exited
  const counts = yield* Effect.orElseSucceed(TestReport.read(report), () => ({
    passed: 0,
    failed: 1,
    skipped: 0,
  }))
  return { counts, succeeded: code === 0 && counts.failed === 0 }
}).pipe(Effect.scoped)

const reporters = (report: string) => ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`]

const tiers = (args: ReadonlyArray<string>) =>
  args.some((arg) => arg.startsWith("--project"))
    ? []
    : ["unit", "engine", "cluster"].map((name) => `--project=${name}`)

/** Always the last line, whatever stdout and stderr are joined to. */
const close = (counts: TestReport.TestCounts, succeeded: boolean) =>
  Effect.sync(() => {
    process.stdout.write(`${TestReport.closingLine(counts)}\n`)
    if (!succeeded) process.exitCode = 1
  })

run(
  all.pipe(
    Effect.flatMap(({ counts, succeeded }) => close(counts, succeeded)),
    Effect.catchAll((error) =>
      Effect.zipRight(
        Effect.sync(() => process.stderr.write(`${error.message}\n`)),
        close({ passed: 0, failed: 1, skipped: 0 }, false),
      ),
    ),
  ),
  { interrupted: 130 },
)
