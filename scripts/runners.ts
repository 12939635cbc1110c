/**
 * Runs real suites by the test runners that the sandbox image lacks, in an image that has them; or makes that image, for
 * a template. The last line on stdout counts the tests.
 */
import { Effect } from "effect"
import { join } from "node:path"
import { imageOptions } from "./process/ImageOptions.ts"
import { run } from "./process/Script.ts"
import * as Images from "./setup/Images.ts"
import * as Machine from "./setup/Machine.ts"
import * as TemporaryFolder from "./setup/TemporaryFolder.ts"
import * as TestImage from "./setup/TestImage.ts"
import * as TestReport from "./setup/TestReport.ts"
import * as TestRun from "./setup/TestRun.ts"

const usage = `Usage: npm run test:runners [-- --no-install]   run suites by vitest, jest, go and cargo
       npm run runners-image                     make the image codegen-mcp-runners, for a template

  --no-install   install no system package
  --help         show this
`

const options = imageOptions("npm run test:runners -- --help")

const made = (install: boolean) =>
  Effect.gen(function* () {
    const machine = yield* Machine.prepare({ install })
    return { ...machine, runners: yield* Images.runners(machine.engine, machine.sandboxImage) }
  })

const makeImage = (install: boolean) =>
  Effect.gen(function* () {
    const { engine, runners } = yield* made(install)
    yield* Images.named(engine, runners, "runners")
    yield* Effect.sync(() => process.stdout.write("codegen-mcp-runners is there.\n"))
  })

const test = (install: boolean) =>
  Effect.gen(function* () {
    const { engine, environment, runners } = yield* made(install)
    const folder = yield* TemporaryFolder.make
    const counts = yield* TestRun.run({
      args: ["--project=runners"],
      environment: { ...environment, SANDBOX_IMAGE: yield* TestImage.make(engine, runners) },
      folder: join(folder, "run"),
    })
    yield* Effect.sync(() => {
      process.stdout.write(`${TestReport.closingLine(counts)}\n`)
      if (counts.failed > 0) process.exitCode = 1
    })
  })

run(
  Effect.flatMap(options, ({ help, image, "no-install": refused }) =>
    help === true
      ? Effect.sync(() => void process.stdout.write(usage))
      : Effect.scoped(image === true ? makeImage(refused !== true) : test(refused !== true)),
  ),
  { interrupted: 130 },
)
