/** What can be found wrong before a node starts anything: settings, and ports that somebody else holds. */
import { type Config, Effect, Schema } from "effect"
import { createServer } from "node:net"
import { isLoopback } from "../domain/Loopback.ts"
import { Principals } from "../mcp/Principals.ts"
import { settings } from "../Settings.ts"
import { portProblem } from "./StartFailure.ts"

/** The node would not be reachable, or would be by too many. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", { message: Schema.String }) {}

/** Reads every setting, and tries both ports for a moment. */
export const check = Effect.gen(function* () {
  for (const { config } of Object.values(settings)) yield* Effect.asVoid(config as Config.Config<unknown>)
  const { guarded } = yield* Principals
  const httpHost = yield* settings.httpHost.config
  if (!guarded && !isLoopback(httpHost)) {
    const problem = `HTTP_HOST is ${httpHost}, but no API_TOKENS are set: anyone could run code here.`
    return yield* new Refused({ message: `${problem} Set API_TOKENS, or bind 127.0.0.1.` })
  }
  const runnerHost = yield* settings.runnerHost.config
  if (!isLoopback(runnerHost)) {
    const problem = `RUNNER_HOST is ${runnerHost}, but the link between nodes is not encrypted.`
    return yield* new Refused({ message: `${problem} Set it to 127.0.0.1.` })
  }
  yield* canListen(httpHost, yield* settings.httpPort.config, "HTTP")
  yield* canListen(runnerHost, yield* settings.runnerPort.config, "RUNNER")
})

const canListen = (host: string, port: number, name: "HTTP" | "RUNNER") =>
  Effect.async<void, Refused>((resume) => {
    const server = createServer()
    server.once("error", (cause) =>
      resume(Effect.fail(new Refused({ message: portProblem(cause, `${name}_HOST`, `${name}_PORT`) }))),
    )
    server.listen({ host, port }, () => server.close(() => resume(Effect.void)))
  })
