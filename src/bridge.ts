/**
 * The program of the bridge's image: MCP over SSE on CODEGEN_MCP_PORT (8080), by way of the cluster that CODEGEN_MCP_URL
 * names, with the token in CODEGEN_MCP_TOKEN. It serves until a signal comes; all its connections end with it.
 */
import { HttpServer } from "@effect/platform"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, Config, Deferred, Effect, Layer } from "effect"
import { createServer } from "node:http"
import * as ClusterAddress from "./mcp/stdio/ClusterAddress.ts"
import * as SseBridge from "./mcp/stdio/SseBridge.ts"
import * as Upstream from "./mcp/stdio/Upstream.ts"
import { explain } from "./node/StartFailure.ts"

const say = (sentence: string) => Effect.sync(() => void process.stderr.write(`codegen-mcp: ${sentence}\n`))

const serve = Effect.gen(function* () {
  const cluster = yield* ClusterAddress.read({})
  if (cluster === undefined) {
    const message = "Set CODEGEN_MCP_URL to where the cluster serves MCP, as http://172.17.0.1:8080/mcp."
    return yield* new ClusterAddress.BridgeUsage({ message })
  }
  const port = yield* Config.withDefault(Config.port("CODEGEN_MCP_PORT"), 8080)
  const leaving = yield* Deferred.make<void>()
  const routes = SseBridge.make({
    upstream: Upstream.make(cluster),
    isNamed: cluster.url.searchParams.has("session"),
    leaving,
    log: say,
  })
  // The server waits for its streams to end, so they are told before.
  const farewell = Layer.scopedDiscard(Effect.addFinalizer(() => Deferred.succeed(leaving, undefined)))
  const server = Layer.merge(HttpServer.serve(routes), farewell).pipe(
    Layer.provide(NodeHttpServer.layer(() => createServer(), { host: "0.0.0.0", port })),
  )
  yield* say(`MCP over SSE is served on port ${port}, at /sse.`)
  return yield* Layer.launch(server)
})

serve.pipe(
  Effect.tapError((error) => say(explain(Cause.fail(error)))),
  NodeRuntime.runMain({ disableErrorReporting: true, disablePrettyLogger: true }),
)
