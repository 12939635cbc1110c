#!/usr/bin/env node
/** The command line. Read downwards, `node` is the architecture. */
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Duration, Effect, Layer, Logger } from "effect"
import { parseArgs } from "node:util"
import * as Cluster from "./cluster/Cluster.ts"
import * as Database from "./database/Database.ts"
import { Connections } from "./mcp/Connections.ts"
import { Guard } from "./mcp/Guard.ts"
import { Principals } from "./mcp/Principals.ts"
import { serverInfo } from "./mcp/McpServer.ts"
import { ToolCalls } from "./mcp/ToolCalls.ts"
import { Health } from "./node/Health.ts"
import * as Heartbeat from "./node/Heartbeat.ts"
import * as HttpServer from "./node/HttpServer.ts"
import * as Identity from "./node/Identity.ts"
import { Docker } from "./sandbox/Docker.ts"
import { Limits } from "./sandbox/Limits.ts"
import * as Reconciler from "./sandbox/Reconciler.ts"
import { Sandboxes } from "./sandbox/Sandboxes.ts"
import { Templates } from "./sandbox/Templates.ts"
import * as Directory from "./session/Directory.ts"
import { HeldSessions } from "./session/HeldSessions.ts"
import * as SessionBehaviour from "./session/SessionBehaviour.ts"
import { SessionRows } from "./session/SessionRows.ts"
import { Sessions } from "./session/Sessions.ts"
import * as Sweeper from "./session/Sweeper.ts"
import * as Preflight from "./node/Preflight.ts"
import { explain, UsageError } from "./node/StartFailure.ts"
import { describeSettings, settings } from "./Settings.ts"

const mcp = HttpServer.layer.pipe(
  Layer.provide(ToolCalls.layer),
  Layer.provide(Connections.layer),
  Layer.provide(Guard.layer),
  Layer.provide(Principals.layer),
  Layer.provide(Health.layer),
)

const sessions = SessionBehaviour.layer.pipe(
  Layer.provideMerge(Directory.layer),
  Layer.provideMerge(Sessions.layer),
)

const sandboxes = Reconciler.layer.pipe(
  Layer.provideMerge(Sandboxes.layer),
  Layer.provideMerge(Templates.layer),
  Layer.provideMerge(Limits.layer),
)

const node = mcp.pipe(
  Layer.provideMerge(sessions),
  Layer.provideMerge(Cluster.layer),
  Layer.provideMerge(HeldSessions.layer),
  Layer.provideMerge(SessionRows.layer),
  Layer.provideMerge(sandboxes),
  Layer.provideMerge(Heartbeat.layer),
  Layer.provideMerge(Docker.layer),
  Layer.provideMerge(Sweeper.layer),
  Layer.provideMerge(Identity.layer),
  Layer.provideMerge(Database.layer),
  Layer.provide(Layer.effectDiscard(Preflight.check)),
  Layer.provide(Principals.layer),
  Layer.provideMerge(NodeContext.layer),
)

const logger = Layer.unwrapEffect(
  Effect.map(settings.logLevel.config, (level) =>
    Layer.merge(
      Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.logfmtLogger)),
      Logger.minimumLogLevel(level),
    ),
  ),
)

/** Serves until a signal comes or another process takes this node's id. */
const serve = Effect.gen(function* () {
  const leaving = Duration.toMillis(yield* settings.shutdownTimeout.config)
  // Whatever hangs then, also while it starts, the process ends.
  const armExit = () => void setTimeout(() => process.exit(1), leaving).unref()
  process.on("SIGTERM", armExit).on("SIGINT", armExit)
  const context = yield* Layer.build(node)
  yield* Effect.addFinalizer(() => Effect.sync(armExit))
  yield* Effect.logInfo("ready to serve")
  return yield* Effect.flatMap(Heartbeat.Heartbeat, ({ replaced }) => replaced).pipe(Effect.provide(context))
}).pipe(Effect.scoped, Effect.provide(logger))

const help = `codegen-mcp serves sandboxes over the Model Context Protocol, as one node of a cluster.

Usage: codegen-mcp [serve] [--help] [--version]

Settings, by environment variable [default]:
${describeSettings()}

Sizes are in bytes; times are written as \`10 seconds\`.`

const commandLine = Effect.suspend((): Effect.Effect<void, unknown> => {
  const { values, positionals } = parseArgs({
    options: { help: { type: "boolean", short: "h" }, version: { type: "boolean", short: "v" } },
    allowPositionals: true,
    strict: false,
  })
  const unknown = [
    ...positionals.filter((word, index) => index > 0 || word !== "serve"),
    ...Object.keys(values).filter((name) => !["help", "h", "version", "v"].includes(name)),
  ]
  if (values["help"] === true) return Console.log(help)
  if (values["version"] === true) return Console.log(serverInfo.version)
  if (unknown.length > 0) {
    return Effect.fail(new UsageError({ problem: `Unknown: ${unknown.join(" ")}.` }))
  }
  return serve
})

commandLine.pipe(
  Effect.tapErrorCause((cause) => Effect.sync(() => console.error(`codegen-mcp: ${explain(cause)}`))),
  NodeRuntime.runMain({ disableErrorReporting: true, disablePrettyLogger: true }),
)
