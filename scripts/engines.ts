/**
 * Runs the tests of sandboxes on a current Docker engine, with runc and then with gVisor, while node and Postgres
 * stand on this machine as ever. The last lines on stdout count them.
 */
import { Effect } from "effect"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { step } from "./process/Progress.ts"
import { run } from "./process/Script.ts"
import { misuse, StartError } from "./process/StartError.ts"
import * as CurrentEngine from "./setup/CurrentEngine.ts"
import * as EmbeddedPostgres from "./setup/EmbeddedPostgres.ts"
import * as Images from "./setup/Images.ts"
import * as Machine from "./setup/Machine.ts"
import * as TemporaryFolder from "./setup/TemporaryFolder.ts"
import * as TestImage from "./setup/TestImage.ts"
import * as TestReport from "./setup/TestReport.ts"
import * as TestRun from "./setup/TestRun.ts"

const usage = `Usage: npm run test:engines -- [options] [FILE...]

  --runtime NAME  with runc alone, or with runsc (gVisor) alone
  --no-install    install no system package
  --help          show this

FILEs are test files; all of test/sandbox unless given. Needs root on Debian or Ubuntu.
`

const runtimes = ["runc", "runsc"]

const commandLine = Effect.try({
  try: () =>
    parseArgs({
      options: {
        runtime: { type: "string" },
        "no-install": { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
      allowPositionals: true,
      strict: true,
    }),
  catch: (cause) => wrong(misuse(cause)),
})

const wrong = (problem: string) =>
  new StartError({ problem: `${problem}.`, remedy: "`npm run test:engines -- --help` lists the options." })

interface Options {
  readonly install: boolean
  readonly runtimes: ReadonlyArray<string>
  readonly files: ReadonlyArray<string>
}

const counts = ({ install, runtimes, files }: Options) =>
  Effect.gen(function* () {
    const folder = yield* TemporaryFolder.make
    const current = yield* CurrentEngine.start({ install, folder: join(folder, "engine") })
    const own = yield* Machine.prepare({ install })
    yield* step("Copying the images to it …")
    for (const image of [own.sandboxImage, own.agentImage]) {
      yield* Images.copy(own.engine, current, image)
    }
    const postgres = yield* EmbeddedPostgres.start(join(folder, "postgres"))
    const image = yield* TestImage.make(current, own.sandboxImage)
    return yield* Effect.forEach(runtimes, (runtime) =>
      Effect.map(
        Effect.zipRight(
          step(`The tests of sandboxes on ${current.version} with ${runtime}:`),
          TestRun.run({
            args: ["--project=engine", ...files],
            environment: {
              ...current.environment,
              AGENT_IMAGE: own.agentImage,
              SANDBOX_IMAGE: image,
              SANDBOX_RUNTIME: runtime,
              TEST_DATABASE_URL: postgres.url,
            },
            folder: join(folder, runtime),
          }),
        ),
        (counts) => ({ name: `${current.version} with ${runtime}`, counts }),
      ),
    )
  }).pipe(Effect.scoped)

const report = ({ name, counts }: { readonly name: string; readonly counts: TestReport.TestCounts }) =>
  [
    ...counts.skippedTitles.map((title) => `skipped on ${name}: ${title}`),
    `${name}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`,
  ].join("\n")

run(
  Effect.gen(function* () {
    const { values, positionals } = yield* commandLine
    if (values.help === true) return yield* Effect.sync(() => void process.stdout.write(usage))
    const chosen = runtimes.filter((name) => (values.runtime ?? name) === name)
    if (chosen.length === 0) return yield* wrong(`There is no runtime ${values.runtime}`)
    const results = yield* counts({
      install: values["no-install"] !== true,
      runtimes: chosen,
      files: positionals.length === 0 ? ["test/sandbox/"] : positionals,
    })
    yield* Effect.sync(() => {
      process.stdout.write(`\n${results.map(report).join("\n")}\n`)
      if (results.some(({ counts }) => counts.failed > 0)) process.exitCode = 1
    })
  }),
  { interrupted: 130 },
)
