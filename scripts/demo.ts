/** An MCP client plays an agent against a cluster of three nodes on this machine, which is gone afterwards. */
import { Effect } from "effect"
import { parseArgs } from "node:util"
import { demonstrate } from "./walkthrough/Demonstration.ts"
import { run } from "./process/Script.ts"
import { misuse, StartError } from "./process/StartError.ts"

const usage = `Usage: scripts/demo [options]

Starts three nodes on a database that is thrown away. An MCP client plays an agent there: it writes a Python
project whose tests fail, runs them, reads the failure, corrects the file, and runs them again; then the same
with a Node project. Then it uploads a third one, runs its checks, edits, repeats what failed, installs a
package (where the registries can be reached), saves an artifact, leaves, and comes back by its session's name.
Nothing stays. Ends with code 0 when the projects were red and are green.

  --no-install   install no system package
  --help         show this
`

const options = Effect.try({
  try: () =>
    parseArgs({
      options: { "no-install": { type: "boolean" }, help: { type: "boolean", short: "h" } },
      strict: true,
    }).values,
  catch: (cause) =>
    new StartError({
      problem: `${misuse(cause)}.`,
      remedy: "`scripts/demo --help` lists the options.",
    }),
})

run(
  Effect.flatMap(options, (options) =>
    options.help === true
      ? Effect.sync(() => void process.stdout.write(usage))
      : Effect.scoped(demonstrate({ install: options["no-install"] !== true })),
  ),
  { interrupted: 130 },
)
