/** This node's HTTP: MCP and two questions about its health. Every answer names the node that gave it. */
import { HttpMiddleware, HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, Schema } from "effect"
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

const routes = Effect.gen(function* () {
  const { node } = yield* NodeIdentity
  const health = yield* Health
  const mcp = yield* Edge.make
  const named = HttpMiddleware.make((app) =>
    Effect.map(app, HttpServerResponse.setHeader("x-codegen-node", node)),
  )
  return HttpRouter.empty.pipe(
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
    named,
  )
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
    return HttpServer.serve(yield* routes).pipe(
      Layer.provide(NodeHttpServer.layer(createServer, { host, port })),
    )
  }),
)
