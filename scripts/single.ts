/**
 * A node for one program alone: `codegen-mcp stdio` without --url. That program holds this script's standard input,
 * and is told on standard output, in a line of JSON, how to reach the node. All ends when standard input does.
 */
import { Effect } from "effect"
import { parseArgs } from "node:util"
import * as SingleNode from "./cluster/SingleNode.ts"
import { run } from "./process/Script.ts"
import { StartError } from "./process/StartError.ts"

// Also where that program is killed outright, and while all is still being set up.
process.stdin.resume().once("close", () => process.kill(process.pid, "SIGTERM"))

run(
  Effect.gen(function* () {
    const { session } = yield* Effect.try({
      try: () => parseArgs({ options: { session: { type: "string" } } }).values,
      catch: (cause) =>
        new StartError({ problem: "The options are wrong.", remedy: "Use codegen-mcp stdio.", cause }),
    })
    const { ended, token, url } = yield* SingleNode.start(session)
    yield* Effect.sync(() => process.stdout.write(`${JSON.stringify({ url, token })}\n`))
    return yield* ended
  }).pipe(Effect.scoped),
)
