/** What can be found wrong before a node starts anything: settings, and ports that somebody else holds. */
import { type Config, Duration, Effect, Schema } from "effect"
import { createServer } from "node:net"
import { linkKeys } from "../cluster/LinkKeys.ts"
import { isLoopback, isUnspecified } from "../domain/Loopback.ts"
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
  if (isUnspecified(runnerHost)) {
    const problem = `RUNNER_HOST is ${runnerHost}, which the other nodes cannot call.`
    return yield* new Refused({ message: `${problem} Set it to this machine's address or name.` })
  }
  if (!isLoopback(runnerHost) && (yield* linkKeys).length === 0) {
    const problem = `RUNNER_HOST is ${runnerHost}, but no CLUSTER_SECRET is set: anyone could run code here.`
    return yield* new Refused({ message: `${problem} Set CLUSTER_SECRET, or bind 127.0.0.1.` })
  }
  for (const [holds, message] of yield* relations) {
    if (!holds) return yield* new Refused({ message })
  }
  yield* canListen(httpHost, yield* settings.httpPort.config, "HTTP")
  yield* canListen(runnerHost, yield* settings.runnerPort.config, "RUNNER")
})

/** What must hold between settings. */
const relations = Effect.gen(function* () {
  const heartbeat = yield* settings.heartbeat.config
  const refresh = yield* settings.shardLockRefresh.config
  const encoded = ((yield* settings.maxFile.config) * 4) / 3
  const lived = Duration.lessThanOrEqualTo(Duration.times(heartbeat, 2), yield* settings.nodeExpiry.config)
  const locked = Duration.lessThanOrEqualTo(
    Duration.times(refresh, 2),
    yield* settings.shardLockExpiration.config,
  )
  return [
    [
      lived,
      "NODE_EXPIRY must be at least twice NODE_HEARTBEAT, or nodes take each other for dead. Raise it.",
    ],
    [
      locked,
      "SHARD_LOCK_EXPIRATION must be at least twice SHARD_LOCK_REFRESH, or shards are lost. Raise it.",
    ],
    [
      encoded <= (yield* settings.maxBody.config),
      "MAX_BODY must hold a file of MAX_FILE in base64. Raise it to 4/3 of MAX_FILE.",
    ],
  ] as const
})

const canListen = (host: string, port: number, name: "HTTP" | "RUNNER") =>
  Effect.async<void, Refused>((resume) => {
    const server = createServer()
    server.once("error", (cause) =>
      resume(Effect.fail(new Refused({ message: portProblem(cause, `${name}_HOST`, `${name}_PORT`) }))),
    )
    server.listen({ host, port }, () => server.close(() => resume(Effect.void)))
  })
