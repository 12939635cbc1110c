/** The balancer's process. A script starts it; see cluster/Balancer.ts. */
import { Effect } from "effect"
import { parseArgs } from "node:util"
import * as Balancer from "./cluster/Balancer.ts"
import { run } from "./process/Script.ts"
import { StartError } from "./process/StartError.ts"

const text = { type: "string" } as const

run(
  Effect.gen(function* () {
    const { host, port, state } = yield* Effect.try({
      try: () => parseArgs({ options: { host: text, port: text, state: text } }).values,
      catch: (cause) =>
        new StartError({ problem: "The options are wrong.", remedy: "Use scripts/start.", cause }),
    })
    yield* Balancer.serve({ host: host ?? "127.0.0.1", port: Number(port ?? 0), stateFile: state ?? "" })
    return yield* Effect.never
  }).pipe(Effect.scoped),
)
