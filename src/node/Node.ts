/** One node of the cluster. Read downwards, `node` is the architecture. */
import { NodeContext } from "@effect/platform-node"
import { type ConfigError, Duration, Effect, Exit, Layer, Logger } from "effect"
import * as Cluster from "../cluster/Cluster.ts"
import * as Database from "../database/Database.ts"
import { Catalogue } from "../mcp/Catalogue.ts"
import { Connections } from "../mcp/Connections.ts"
import { Guard } from "../mcp/Guard.ts"
import { Principals } from "../mcp/Principals.ts"
import { ToolCalls } from "../mcp/ToolCalls.ts"
import { Lease } from "../domain/Lease.ts"
import { Docker } from "../sandbox/Docker.ts"
import { Limits } from "../sandbox/Limits.ts"
import * as Reconciler from "../sandbox/Reconciler.ts"
import { Sandboxes } from "../sandbox/Sandboxes.ts"
import { Templates } from "../sandbox/Templates.ts"
import { Peers } from "../sandbox/tunnel/Peers.ts"
import { Tunnels } from "../sandbox/tunnel/Tunnels.ts"
import * as Directory from "../session/Directory.ts"
import { HeldSessions } from "../session/HeldSessions.ts"
import * as SessionBehaviour from "../session/SessionBehaviour.ts"
import { SessionRows } from "../session/SessionRows.ts"
import { Sessions } from "../session/Sessions.ts"
import * as Sweeper from "../session/Sweeper.ts"
import { settings } from "../Settings.ts"
import { Registry } from "../tools/Registry.ts"
import { CheckpointRows } from "../workspace/CheckpointRows.ts"
import { Checkpoints } from "../workspace/Checkpoints.ts"
import { durability } from "../workspace/Durability.ts"
import * as DirectoryPacks from "../workspace/DirectoryPacks.ts"
import * as Garbage from "../workspace/Garbage.ts"
import { Objects } from "../workspace/Objects.ts"
import * as PostgresPacks from "../workspace/PostgresPacks.ts"
import { SignedUrls } from "../workspace/SignedUrls.ts"
import { Health } from "./Health.ts"
import * as Heartbeat from "./Heartbeat.ts"
import * as HttpServer from "./HttpServer.ts"
import * as Identity from "./Identity.ts"
import * as Preflight from "./Preflight.ts"

const store = Layer.unwrapEffect(
  Effect.map(settings.workspaceStore.config, (place) =>
    place === "postgres" ? PostgresPacks.layer : DirectoryPacks.layer(place),
  ),
)

/** What another program may have in its own way; this is the product's. */
export const standard = {
  tools: Registry.layer as Layer.Layer<Registry, ConfigError.ConfigError>,
  catalogue: Catalogue.layer as Layer.Layer<Catalogue, never, Registry>,
  calls: Sessions.layer,
  rows: SessionRows.layer,
  sandboxes: Sandboxes.layer,
  store,
}
export type Parts = typeof standard

const mcp = ({ catalogue }: Parts) =>
  HttpServer.layer.pipe(
    Layer.provide(ToolCalls.layer),
    Layer.provide(catalogue),
    Layer.provide(Connections.layer),
    Layer.provide(Guard.layer),
    Layer.provide(Principals.layer),
    Layer.provide(Health.layer),
  )

const sessions = ({ calls }: Parts) =>
  SessionBehaviour.layer.pipe(Layer.provideMerge(Directory.layer), Layer.provideMerge(calls))

const sandboxes = ({ sandboxes }: Parts) =>
  Reconciler.layer.pipe(
    Layer.provideMerge(sandboxes),
    Layer.provideMerge(Templates.layer),
    Layer.provideMerge(Limits.layer),
    Layer.provideMerge(Tunnels.layer),
    Layer.provide(Peers.layer),
  )

const files = Layer.merge(Checkpoints.layer, Objects.layer).pipe(Layer.provideMerge(SignedUrls.layer))

const node = (parts: Parts) =>
  mcp(parts).pipe(
    Layer.provideMerge(sessions(parts)),
    Layer.provideMerge(Cluster.layer),
    Layer.provideMerge(HeldSessions.layer),
    Layer.provideMerge(parts.tools),
    Layer.provideMerge(files),
    Layer.provideMerge(parts.rows),
    Layer.provideMerge(CheckpointRows.layer),
    Layer.provideMerge(sandboxes(parts)),
    Layer.provideMerge(Heartbeat.layer),
    Layer.provideMerge(Docker.layer),
    Layer.provideMerge(Sweeper.layer),
    Layer.provideMerge(Garbage.layer),
    Layer.provideMerge(parts.store),
    Layer.provideMerge(Lease.layer),
    Layer.provideMerge(Identity.layer),
    Layer.provideMerge(Database.layer),
    Layer.provide(Layer.effectDiscard(Preflight.check)),
    Layer.provide(Principals.layer),
    Layer.provideMerge(NodeContext.layer),
  )

const logger = Layer.unwrapEffect(
  Effect.map(settings.logLevel.config, (level) =>
    Layer.mergeAll(
      Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.logfmtLogger)),
      Logger.minimumLogLevel(level),
      // Nobody collects spans, and every call would make dozens.
      Layer.setTracerEnabled(false),
    ),
  ),
)

/** Serves until a signal comes or another process takes this node's id. */
export const serveWith = (parts: Partial<Parts>) =>
  Effect.gen(function* () {
    const drain = yield* settings.drainTimeout.config
    // What runs at the signal has that time, and so has what begins until then.
    const leaving = Duration.toMillis(
      Duration.sum(
        yield* settings.shutdownTimeout.config,
        Duration.sum(Duration.times(drain, 2), yield* settings.leaveDelay.config),
      ),
    )
    // A log that has no room on its disk ends nothing: Node would take it for an error that nobody handles.
    process.stderr.on("error", () => undefined)
    // Whatever hangs then, also while it starts, the process ends.
    const armExit = () => void setTimeout(() => process.exit(1), leaving).unref()
    process.on("SIGTERM", armExit).on("SIGINT", armExit)
    const context = yield* Layer.build(node({ ...standard, ...parts }))
    yield* Effect.addFinalizer((exit) =>
      Effect.gen(function* () {
        armExit()
        // Another process with this node's id has the sessions already.
        if (Exit.isInterrupted(exit)) yield* Effect.flatMap(HeldSessions, ({ settle }) => settle)
      }).pipe(Effect.provide(context)),
    )
    yield* Effect.logInfo("ready to serve", { durability: yield* durability })
    return yield* Effect.flatMap(Heartbeat.Heartbeat, ({ replaced }) => replaced).pipe(
      Effect.provide(context),
    )
  }).pipe(Effect.scoped, Effect.provide(logger))

export const serve = serveWith({})
