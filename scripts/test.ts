/** Runs the tests with a real engine, and a real Postgres that is thrown away. The last line on stdout counts them. */
import { Effect } from "effect"
import { join } from "node:path"
import { run } from "./process/Script.ts"
import * as EmbeddedPostgres from "./setup/EmbeddedPostgres.ts"
import * as Machine from "./setup/Machine.ts"
import * as TemporaryFolder from "./setup/TemporaryFolder.ts"
import * as TestImage from "./setup/TestImage.ts"
import * as TestReport from "./setup/TestReport.ts"
import * as TestRun from "./setup/TestRun.ts"

const all = Effect.gen(function* () {
  const args = process.argv.slice(2).filter((arg) => arg !== "--no-install")
  const install = !process.argv.includes("--no-install")
  const machine = yield* Machine.prepare({ install })
  const folder = yield* TemporaryFolder.make
  const postgres = yield* EmbeddedPostgres.start(join(folder, "postgres"))
  const image = yield* TestImage.make(machine.engine, machine.sandboxImage)
  return yield* TestRun.run({
    args: [...tiers(args), ...args],
    environment: {
      ...machine.environment,
      TEST_DATABASE_URL: postgres.url,
      SANDBOX_IMAGE: image,
      TEST_INSTALL: String(install),
    },
    folder: join(folder, "run"),
  })
}).pipe(Effect.scoped)

const tiers = (args: ReadonlyArray<string>) =>
  args.some((arg) => arg.startsWith("--project"))
    ? []
    : ["unit", "engine", "cluster"].map((name) => `--project=${name}`)

/** Always the last line, whatever stdout and stderr are joined to. */
const close = (counts: TestReport.TestCounts) =>
  Effect.sync(() => {
    process.stdout.write(`${TestReport.closingLine(counts)}\n`)
    if (counts.failed > 0) process.exitCode = 1
  })

run(
  all.pipe(
    Effect.catchAll((error) =>
      Effect.as(
        Effect.sync(() => process.stderr.write(`${error.message}\n`)),
        TestReport.none,
      ),
    ),
    Effect.flatMap(close),
  ),
  { interrupted: 130 },
)
