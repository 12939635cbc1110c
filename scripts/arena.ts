/**
 * Runs PromptKit Arena with the kit of docker/arena against a cluster of three nodes, which is gone afterwards; or makes
 * the image that the kit names. The last line on stdout counts the checks.
 */
import { Effect } from "effect"
import * as Checks from "./arena/Checks.ts"
import { imageOptions } from "./process/ImageOptions.ts"
import { run } from "./process/Script.ts"
import * as Images from "./setup/Images.ts"
import * as Machine from "./setup/Machine.ts"
import * as TestReport from "./setup/TestReport.ts"

const usage = `Usage: npm run test:arena [-- --no-install]   run PromptKit Arena against three nodes
       npm run bridge-image                     make the image codegen-mcp-bridge, for docker/arena

  --no-install   install no system package
  --help         show this
`

const options = imageOptions("npm run test:arena -- --help")

const makeImage = (install: boolean) =>
  Effect.gen(function* () {
    const machine = yield* Machine.prepare({ install })
    yield* Images.named(machine.engine, yield* Images.bridge(machine.engine, machine.agentImage), "bridge")
    yield* Effect.sync(() => process.stdout.write("codegen-mcp-bridge is there.\n"))
  })

const check = (install: boolean) =>
  Effect.flatMap(Checks.all({ install }), (counts) =>
    Effect.sync(() => {
      process.stdout.write(`${TestReport.closingLine(counts)}\n`)
      if (counts.failed > 0) process.exitCode = 1
    }),
  )

run(
  Effect.flatMap(options, ({ help, image, "no-install": refused }) =>
    help === true
      ? Effect.sync(() => void process.stdout.write(usage))
      : Effect.scoped(image === true ? makeImage(refused !== true) : check(refused !== true)),
  ),
  { interrupted: 130 },
)
