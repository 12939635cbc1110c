/** The edge of a node on a port of its own, for clients of the session-less revision, in front of an owner of the test's own. */
import { HttpRouter, HttpServer } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Deferred, Effect, Layer } from "effect"
import { createServer } from "node:http"
import { Principal, SessionId } from "../../src/domain/Identity.ts"
import type { Operation, Reply } from "../../src/domain/Operation.ts"
import { SessionDirectory } from "../../src/domain/SessionDirectory.ts"
import { type SessionError, SessionNotFound } from "../../src/domain/SessionError.ts"
import * as Admission from "../../src/mcp/Admission.ts"
import { Catalogue } from "../../src/mcp/Catalogue.ts"
import { Connections } from "../../src/mcp/Connections.ts"
import * as Edge from "../../src/mcp/Edge.ts"
import { Guard } from "../../src/mcp/Guard.ts"
import { Principals } from "../../src/mcp/Principals.ts"
import { ToolCalls } from "../../src/mcp/ToolCalls.ts"
import { type Listener, Sessions } from "../../src/session/Sessions.ts"
import { Registry } from "../../src/tools/Registry.ts"
import * as Http from "./Http.ts"
import { Objects } from "../../src/workspace/Objects.ts"
import * as FakeSandbox from "./FakeSandbox.ts"
import * as TestNode from "./TestNode.ts"

export const revision = "2026-07-28"
export const own = SessionId.make(`s_${"0".repeat(32)}`)
export const foreign = SessionId.make(`s_${"9".repeat(32)}`)
const summary = { id: own, name: null, template: "default", createdAt: 0, activeAt: 0 }
const local = Principal.make("local")

export const answer: Reply = { _tag: "Answered", state: "succeeded", output: { fine: true } }

type Run = (operation: Operation, listener: Listener | undefined) => Effect.Effect<Reply, SessionError>

interface Offer {
  readonly tools?: Layer.Layer<Registry>
  readonly owner?: Partial<Sessions["Type"]>
}

/** The edge on a port of its own, in front of a session whose owner answers so. */
export const serve = (run: Run = () => Effect.succeed(answer), offer: Offer = {}) =>
  Effect.gen(function* () {
    const called: Array<readonly [SessionId, Operation]> = []
    const cancelled: Array<readonly [SessionId, string, string | number]> = []
    const leaving = yield* Deferred.make<void>()
    const absent = () => Effect.dieMessage("no part of this test")
    const directory = {
      open: () => Effect.succeed({ ...summary, created: true }),
      find: (principal: Principal, id: string) =>
        principal === local && id === own
          ? Effect.succeed(summary)
          : Effect.fail(new SessionNotFound({ session: id })),
      list: () => Effect.succeed([summary]),
      close: absent,
    }
    const sessions = Layer.succeed(Sessions, {
      call: (session, operation, listener) =>
        Effect.suspend(() => {
          called.push([session, operation])
          return run(operation, listener)
        }),
      resume: absent,
      cancel: (session, connection, request) =>
        Effect.sync(() => void cancelled.push([session, connection, request])),
      answer: absent,
      listen: absent,
      changes: absent,
      subscribe: absent,
      post: absent,
      note: absent,
      isHere: () => false,
      release: absent,
      ...offer.owner,
    })
    const services = Layer.merge(ToolCalls.layer, Catalogue.layer).pipe(
      Layer.provideMerge(offer.tools ?? Registry.layer),
      Layer.provideMerge(
        Layer.mergeAll(
          sessions,
          Layer.succeed(SessionDirectory, directory),
          TestNode.identity(),
          Layer.succeed(Objects, FakeSandbox.noObjects),
          Layer.succeed(Guard, { objection: () => undefined }),
          Layer.succeed(Principals, { guarded: false, of: () => local }),
          Layer.succeed(Connections, {
            open: absent,
            find: () => Effect.succeed(undefined),
            keep: absent,
            setLevel: absent,
            subscribe: absent,
            introduce: absent,
            close: absent,
          }),
          TestNode.settings({ SHUTDOWN_TIMEOUT: "1 seconds" }),
        ),
      ),
    )
    const edge = yield* Effect.provide(
      Effect.flatMap(Admission.make, (admission) => Edge.make(leaving, admission)),
      services,
    )
    const server = yield* Layer.build(
      NodeHttpServer.layer(() => createServer(), { port: 0, host: "127.0.0.1" }),
    )
    const { address } = yield* Effect.provide(
      Effect.zipRight(
        HttpServer.serveEffect(HttpRouter.empty.pipe(HttpRouter.all("/mcp", edge))),
        HttpServer.HttpServer,
      ),
      server,
    )
    const url = address._tag === "TcpAddress" ? `http://127.0.0.1:${address.port}/mcp` : "none"
    return { called, cancelled, leaving, url }
  })

export interface Asked {
  readonly method: string
  readonly params?: Record<string, unknown>
  readonly id?: string | number
  readonly headers?: Record<string, string | undefined>
  readonly version?: string
}

const nameOf = ({ params = {} }: Asked) => params["name"] ?? params["uri"]

/** A request as the revision words it. */
export const worded = (asked: Asked) => {
  const { method, params = {}, id = 7, version = revision } = asked
  const name = nameOf(asked)
  const headers = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    "mcp-protocol-version": version,
    "mcp-method": method,
    ...(typeof name === "string" ? { "mcp-name": name } : {}),
    ...asked.headers,
  }
  return {
    method: "POST" as const,
    headers: Object.fromEntries(
      Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    ),
    body: {
      jsonrpc: "2.0",
      id,
      method,
      params: {
        ...params,
        _meta: {
          "io.modelcontextprotocol/protocolVersion": version,
          "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
          "io.modelcontextprotocol/clientCapabilities": {},
          ...(params["_meta"] as object),
        },
      },
    },
  }
}

export const ask = (url: string, asked: Asked) => {
  const { body, ...request } = worded(asked)
  return Effect.map(
    Http.send(url, { ...request, body: JSON.stringify(body) }),
    ({ headers, status, text }) => ({ status, type: headers["content-type"], ...JSON.parse(text) }),
  )
}

export const exec = (more: Record<string, unknown> = {}, _meta?: Record<string, unknown>): Asked => ({
  method: "tools/call",
  params: {
    name: "exec",
    arguments: { command: "ls", ...more },
    ...(_meta === undefined ? {} : { _meta }),
  },
})

export const said = (answer: { result: { content: ReadonlyArray<{ text: string }> } }) =>
  JSON.parse(answer.result.content[0]!.text)
