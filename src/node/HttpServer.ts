/** This node's HTTP: MCP and two questions about its health. Every answer names the node that gave it. */
import { HttpApp, HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Deferred, Duration, Effect, Layer } from "effect"
import { createServer } from "node:http"
import { NodeIdentity } from "../domain/NodeIdentity.ts"
import * as Edge from "../mcp/Edge.ts"
import * as LegacySse from "../mcp/LegacySse.ts"
import { settings } from "../Settings.ts"
import { Health } from "./Health.ts"

const routes = Effect.fnUntraced(function* (leaving: Deferred.Deferred<void>) {
  const { node } = yield* NodeIdentity
  const health = yield* Health
  const mcp = yield* Edge.make(leaving)
  const legacy = yield* LegacySse.make(leaving)
  // Also on what an error or a defect becomes.
  const name = HttpApp.appendPreResponseHandler((_, response) =>
    Effect.map(Deferred.isDone(leaving), (last) =>
      HttpServerResponse.setHeaders(response, {
        "x-codegen-node": node,
        // Otherwise the server would wait for the connection that the client keeps.
        ...(last ? { connection: "close" } : {}),
      }),
    ),
  )
  const router = HttpRouter.empty.pipe(
    HttpRouter.all("/mcp", mcp),
    HttpRouter.get("/sse", legacy.stream),
    HttpRouter.post("/messages", legacy.post),
    HttpRouter.get("/healthz", Effect.succeed(HttpServerResponse.unsafeJson({ alive: true, node }))),
    HttpRouter.get(
      "/readyz",
      Effect.map(health.readiness, (readiness) =>
        HttpServerResponse.unsafeJson(readiness, { status: readiness.ready ? 200 : 503 }),
      ),
    ),
    HttpRouter.all(
      "*",
      Effect.succeed(HttpServerResponse.text("Not found. MCP is served at /mcp.\n", { status: 404 })),
    ),
  )
  return Effect.zipRight(name, router)
})

/** Listens on HTTP_HOST and HTTP_PORT. */
export const layer = Layer.unwrapEffect(
  Effect.gen(function* () {
    const host = yield* settings.httpHost.config
    const port = yield* settings.httpPort.config
    const patience = yield* settings.shutdownTimeout.config
    const leaving = yield* Deferred.make<void>()
    const server = createServer()
    // Above the server, so that it is told before the server waits for its requests to end. A client that is
    // slow to send or to read is not waited for as long as all the rest.
    const farewell = Layer.scopedDiscard(
      Effect.addFinalizer(() =>
        Effect.zipRight(
          Deferred.succeed(leaving, undefined),
          Effect.sync(() => server.closeAllConnections()).pipe(
            Effect.delay(Duration.times(patience, 0.6)),
            Effect.forkDaemon,
          ),
        ),
      ),
    )
    return Layer.merge(HttpServer.serve(yield* routes(leaving)), farewell).pipe(
      Layer.provide(NodeHttpServer.layer(() => server, { host, port })),
    )
  }),
)
