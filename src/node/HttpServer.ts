/** This node's HTTP: MCP and two questions about its health. Every answer names the node that gave it. */
import {
  HttpApp,
  HttpMiddleware,
  HttpRouter,
  HttpServer,
  HttpServerRequest,
  HttpServerResponse,
} from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Deferred, Duration, Effect, Layer } from "effect"
import { withOnly } from "../domain/Narrowed.ts"
import { NodeIdentity } from "../domain/NodeIdentity.ts"
import * as Admission from "../mcp/Admission.ts"
import * as Edge from "../mcp/Edge.ts"
import * as Files from "../mcp/Files.ts"
import * as LegacySse from "../mcp/LegacySse.ts"
import { settings } from "../Settings.ts"
import * as BoundedServer from "./BoundedServer.ts"
import { Health } from "./Health.ts"

const routes = Effect.fnUntraced(function* (leaving: Deferred.Deferred<void>) {
  const { node } = yield* NodeIdentity
  const health = yield* Health
  const admission = yield* Admission.make
  const mcp = yield* Edge.make(leaving, admission)
  const legacy = yield* LegacySse.make(leaving, admission)
  const files = yield* Files.make(admission)
  // Also on what an error or a defect becomes.
  const name = HttpApp.appendPreResponseHandler((request, response) =>
    Effect.map(Deferred.isDone(leaving), (last) =>
      // The library would wait for ever for the end of a body that nobody takes any more.
      HttpServerResponse.setHeaders(BoundedServer.isLeft(request) ? nothing : response, {
        "x-codegen-node": node,
        // Otherwise the server would wait for the connection that the client keeps.
        ...(last ? { connection: "close" } : {}),
      }),
    ),
  )
  const router = HttpRouter.empty.pipe(
    HttpRouter.all("/mcp", mcp),
    HttpRouter.all("/files/*", files),
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
  const answer = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    BoundedServer.isLeft(request) ? Effect.succeed(nothing) : router,
  )
  return Effect.zipRight(name, answer)
})

const nothing = HttpServerResponse.empty()

/** Listens on HTTP_HOST and HTTP_PORT. */
export const layer = Layer.unwrapEffect(
  Effect.gen(function* () {
    const host = yield* settings.httpHost.config
    const port = yield* settings.httpPort.config
    const patience = yield* settings.shutdownTimeout.config
    const leaving = yield* Deferred.make<void>()
    const { leave, server } = yield* BoundedServer.make
    // Above what serves, so that it is told, and goes on, before the server waits for its requests to end. A client that is
    // slow to send or to read is not waited for as long as all the rest.
    const farewell = Layer.scopedDiscard(
      Effect.addFinalizer(() =>
        Effect.gen(function* () {
          yield* Deferred.succeed(leaving, undefined)
          yield* leave(Duration.times(patience, 0.6))
        }),
      ),
    )
    // The library takes any request to upgrade for a WebSocket; without it, node:http answers it as HTTP/1.1.
    const plain = Layer.effectDiscard(Effect.sync(() => server.removeAllListeners("upgrade"))).pipe(
      Layer.provide(withOnly(HttpServer.HttpServer)(HttpServer.serve(yield* routes(leaving)))),
      HttpMiddleware.withTracerDisabledWhen(() => true),
    )
    return farewell.pipe(
      Layer.provideMerge(plain),
      Layer.provide(NodeHttpServer.layer(() => server, { host, port })),
    )
  }),
)
