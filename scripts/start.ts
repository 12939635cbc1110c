/** Starts CodeGen MCP on this machine: engine, images, Postgres, nodes and balancer; or joins a node to what runs. */
import { Effect } from "effect"
import { joinCluster } from "./cluster/JoinCluster.ts"
import { startCluster } from "./cluster/StartCluster.ts"
import * as StartOptions from "./cluster/StartOptions.ts"
import { run } from "./process/Script.ts"

const start = Effect.gen(function* () {
  const options = yield* StartOptions.parse(process.argv.slice(2))
  switch (options._tag) {
    case "Help":
      return yield* Effect.sync(() => void process.stdout.write(StartOptions.usage))
    case "Join":
      return yield* joinCluster(options)
    case "Start":
      return yield* startCluster(options)
  }
})

run(Effect.scoped(start))
