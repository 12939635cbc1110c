/** A node's layers as src/main.ts composes them, without the cluster, with settings of the test's own. */
import { Config, ConfigProvider, Effect, Layer, Logger, LogLevel, Option } from "effect"
import * as Database from "../../src/database/Database.ts"
import { Incarnation, NodeId, randomId } from "../../src/domain/Identity.ts"
import { NodeIdentity } from "../../src/domain/NodeIdentity.ts"
import { Lease } from "../../src/domain/Lease.ts"
import { Docker } from "../../src/sandbox/Docker.ts"
import { Limits } from "../../src/sandbox/Limits.ts"
import { Sandboxes } from "../../src/sandbox/Sandboxes.ts"
import { Templates } from "../../src/sandbox/Templates.ts"
import { Outside } from "../../src/sandbox/tunnel/Outside.ts"
import { Peers } from "../../src/sandbox/tunnel/Peers.ts"
import { Tunnels } from "../../src/sandbox/tunnel/Tunnels.ts"
import { SessionRows } from "../../src/session/SessionRows.ts"
import { Registry } from "../../src/tools/Registry.ts"
import { CheckpointRows } from "../../src/workspace/CheckpointRows.ts"
import { Checkpoints } from "../../src/workspace/Checkpoints.ts"
import { Objects } from "../../src/workspace/Objects.ts"
import * as PostgresPacks from "../../src/workspace/PostgresPacks.ts"
import { SignedUrls } from "../../src/workspace/SignedUrls.ts"
import * as TestDatabase from "./TestDatabase.ts"

type Values = Readonly<Record<string, string>>

/** These settings and no others; what a test leaves out has its default. Nothing is logged. */
export const settings = (values: Values) =>
  Layer.merge(
    Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(values)))),
    Logger.minimumLogLevel(LogLevel.None),
  )

/** Another process: another incarnation, under another node id unless one is given. */
export const identity = (values: { readonly node?: string; readonly cluster?: string } = {}) =>
  Layer.effect(
    NodeIdentity,
    Effect.gen(function* () {
      const incarnation = yield* randomId("i_")
      return {
        node: NodeId.make(values.node ?? `node-${incarnation.slice(2, 14)}`),
        incarnation: Incarnation.make(incarnation),
        cluster: values.cluster ?? `test-${yield* randomId("o_")}`,
      }
    }),
  )

/** The image that the tests were given, small limits, and what a test adds. */
export const engineSettings = (values: Values = {}) =>
  Layer.unwrapEffect(Effect.map(images, (images) => settings(engineValues(images, values))))

/** Sandboxes on the real engine, under a cluster id that nobody else has. */
export const engine = (values: Values = {}, outside = Outside.layer) =>
  sandboxesWith(outside).pipe(Layer.provideMerge(identity()), Layer.provideMerge(engineSettings(values)))

/** The tables in an empty database, and rows of sessions in it, as one node sees them. */
export const database = (values: Values = {}) =>
  Layer.merge(SessionRows.layer, Templates.layer).pipe(
    Layer.provideMerge(CheckpointRows.layer),
    Layer.provideMerge(identity()),
    Layer.provideMerge(Database.layer),
    Layer.provideMerge(
      Layer.unwrapScoped(Effect.map(TestDatabase.make, (url) => settings({ DATABASE_URL: url, ...values }))),
    ),
  )

/** Sandboxes on the real engine, and an empty database. */
export const both = (values: Values = {}, lease = Lease.layerEndless) =>
  sandboxesWith(Outside.layer, lease).pipe(
    Layer.provideMerge(Registry.layer),
    Layer.provideMerge(Checkpoints.layer),
    Layer.provideMerge(Objects.layer),
    Layer.provideMerge(SignedUrls.layer),
    Layer.provideMerge(SessionRows.layer),
    Layer.provideMerge(CheckpointRows.layer),
    Layer.provideMerge(PostgresPacks.layer),
    Layer.provideMerge(identity()),
    Layer.provideMerge(Database.layer),
    Layer.provideMerge(
      Layer.unwrapScoped(
        Effect.zipWith(TestDatabase.make, images, (url, images) =>
          settings({ DATABASE_URL: url, ...engineValues(images, values) }),
        ),
      ),
    ),
  )

/** The ways out, for a node that has its sessions for itself. */
export const network = Tunnels.layer.pipe(
  Layer.provide(Peers.layerNone),
  Layer.provideMerge(Lease.layerEndless),
)

/** Under the templates and on the engine that the settings name; `outside` is the network as they reach it. */
const sandboxesWith = (outside: Layer.Layer<Outside>, lease = Lease.layerEndless) =>
  Sandboxes.layer.pipe(
    Layer.provideMerge(Templates.layer),
    Layer.provideMerge(Limits.layer),
    Layer.provideMerge(Tunnels.layerOutside.pipe(Layer.provide(Layer.merge(outside, Peers.layerNone)))),
    Layer.provideMerge(lease),
    Layer.provideMerge(Docker.layer),
  )

/** The images that the tests were given, and a container runtime where they were given one. */
export const images: Config.Config<Values> = Config.map(
  Config.all({
    images: Config.all({
      SANDBOX_IMAGE: Config.string("SANDBOX_IMAGE"),
      AGENT_IMAGE: Config.string("AGENT_IMAGE"),
    }),
    runtime: Config.option(Config.string("SANDBOX_RUNTIME")),
  }),
  ({ images, runtime }) => ({
    ...images,
    ...(Option.isSome(runtime) ? { SANDBOX_RUNTIME: runtime.value } : {}),
  }),
)

const engineValues = (images: Values, values: Values) => ({
  ...images,
  SANDBOX_MEMORY: String(256 * 1024 * 1024),
  SANDBOX_WORKSPACE: String(64 * 1024 * 1024),
  SANDBOX_HOME: String(32 * 1024 * 1024),
  SANDBOX_TMP: String(16 * 1024 * 1024),
  POOL_MIN: "0",
  POOL_MAX: "0",
  ...values,
})
