/** This node's HTTP: MCP and two questions about its health. Every answer names the node that gave it. */
import { HttpApp, HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Deferred, Effect, Layer, Schema } from "effect"
import { createServer } from "node:http"
import { NodeIdentity } from "../domain/NodeIdentity.ts"
import * as Edge from "../mcp/Edge.ts"
import { isLoopback } from "../mcp/Guard.ts"
import { Principals } from "../mcp/Principals.ts"
import { settings } from "../Settings.ts"
import { Health } from "./Health.ts"

/** The HTTP port cannot be served as the settings ask. */
export class HttpRefused extends Schema.TaggedError<HttpRefused>()("HttpRefused", {
  problem: Schema.String,
  remedy: Schema.String,
}) {
  override get message() {
    return `${this.problem} ${this.remedy}`
  }
}

const routes = Effect.fnUntraced(function* (leaving: Deferred.Deferred<void>) {
  const { node } = yield* NodeIdentity
  const health = yield* Health
  const mcp = yield* Edge.make(leaving)
  // Also on what an error or a defect becomes.
  const name = HttpApp.appendPreResponseHandler((_, response) =>
    Effect.succeed(HttpServerResponse.setHeader(response, "x-codegen-node", node)),
  )
  const router = HttpRouter.empty.pipe(
    HttpRouter.all("/mcp", mcp),
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

/** Listens on HTTP_HOST and HTTP_PORT; off loopback only where callers must show a token. */
export const layer = Layer.unwrapEffect(
  Effect.gen(function* () {
    const { guarded } = yield* Principals
    const host = yield* settings.httpHost.config
    const port = yield* settings.httpPort.config
    if (!guarded && !isLoopback(host)) {
      return yield* new HttpRefused({
        problem: `HTTP_HOST is ${host}, but no API_TOKENS are set: anyone could run code here.`,
        remedy: "Set API_TOKENS, or bind 127.0.0.1.",
      })
    }
    const leaving = yield* Deferred.make<void>()
    // Above the server, so that it is told before the server waits for its requests to end.
    const farewell = Layer.scopedDiscard(Effect.addFinalizer(() => Deferred.succeed(leaving, undefined)))
    return Layer.merge(HttpServer.serve(yield* routes(leaving)), farewell).pipe(
      Layer.provide(NodeHttpServer.layer(createServer, { host, port })),
    )
  }),
)
