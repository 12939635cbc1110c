/** A node's sandboxes in this process, as src/main.ts composes them, under a cluster id that nobody else has. */
import { ConfigProvider, Context, Duration, Effect, Layer, Logger, LogLevel } from "effect"
import { messageOf } from "../../../src/domain/Failure.ts"
import { Lease } from "../../../src/domain/Lease.ts"
import { Incarnation, NodeId, randomId } from "../../../src/domain/Identity.ts"
import type { SandboxError } from "../../../src/domain/SandboxError.ts"
import { NodeIdentity } from "../../../src/domain/NodeIdentity.ts"
import { Docker } from "../../../src/sandbox/Docker.ts"
import { Limits } from "../../../src/sandbox/Limits.ts"
import type { Sandbox } from "../../../src/sandbox/Sandbox.ts"
import { Sandboxes } from "../../../src/sandbox/Sandboxes.ts"
import { Templates } from "../../../src/sandbox/Templates.ts"
import { Peers } from "../../../src/sandbox/tunnel/Peers.ts"
import { Tunnels } from "../../../src/sandbox/tunnel/Tunnels.ts"
import { StartError } from "../../process/StartError.ts"
import * as Machine from "../../setup/Machine.ts"
import * as TestImage from "../../setup/TestImage.ts"

export type Settings = Readonly<Record<string, string>>

export type Services = Sandboxes | Templates | Limits | Docker | NodeIdentity

/**
 * Runs a measurement on a node with these settings, and removes the node's sandboxes after it. `answered` is called
 * when the engine has done something for the node.
 */
export const on =
  (settings: Settings, answered: (operation: SandboxError["operation"]) => void = () => undefined) =>
  <A, E extends { readonly message: string }>(
    measurement: Effect.Effect<A, E, Services>,
  ): Effect.Effect<A, StartError> =>
    measurement.pipe(
      Effect.provide(
        Sandboxes.layer.pipe(
          Layer.provideMerge(Templates.layer),
          Layer.provideMerge(Limits.layer),
          Layer.provide(Tunnels.layer.pipe(Layer.provide(Peers.layerNone))),
          Layer.provide(Lease.layerEndless),
          Layer.provideMerge(observed(answered)),
          Layer.provideMerge(identity),
          Layer.provideMerge(
            Layer.merge(
              Layer.setConfigProvider(
                ConfigProvider.fromMap(new Map(Object.entries({ ...roomy, ...settings }))),
              ),
              Logger.minimumLogLevel(LogLevel.None),
            ),
          ),
        ),
      ),
      Effect.mapError(
        (cause) =>
          new StartError({
            problem: `The measurement failed: ${messageOf(cause)}`,
            remedy: "Run the tests.",
            cause,
          }),
      ),
    )

/** Sets the machine up; gives its engine, and `on` with its settings and an image of its own. */
export const prepare = (options: { readonly install: boolean }) =>
  Effect.gen(function* () {
    const { engine, sandboxImage, environment } = yield* Machine.prepare(options)
    // Where dockerode looks for it.
    yield* Effect.sync(() => Object.assign(process.env, engine.environment))
    const image = yield* TestImage.make(engine, sandboxImage)
    return {
      engine,
      on: (settings: Settings = {}, answered?: (operation: SandboxError["operation"]) => void) =>
        on({ ...environment, SANDBOX_IMAGE: image, ...settings }, answered),
    }
  })

/** A sandbox of the standard template that is removed with the scope. */
export const acquire = Effect.acquireRelease(
  Effect.flatMap(Effect.all([Sandboxes, Templates]), ([sandboxes, { standard }]) => sandboxes.make(standard)),
  ({ id }) => Effect.flatMap(Sandboxes, (sandboxes) => sandboxes.remove(id)),
)

/** Runs `true` to its end, as a tool call does. */
export const runTrue = (sandbox: Sandbox) => run(sandbox, ["true"], "end")

/** Runs a program to its end. Gives how many bytes of its standard output were read; more may have come. */
export const run = (
  sandbox: Sandbox,
  argv: readonly [string, ...ReadonlyArray<string>],
  until: "output" | "end",
) =>
  Effect.gen(function* () {
    const id = yield* sandbox.start({
      argv,
      cwd: "/workspace",
      env: {},
      stdin: "none",
      tty: false,
      timeoutMs: patience,
    })
    let bytes = 0
    let page = yield* sandbox.read(id, { stdout: 0, stderr: 0 }, patience, until)
    bytes += page.stdout.data.length
    while (page.end === undefined) {
      page = yield* sandbox.read(id, page.next, patience, until)
      bytes += page.stdout.data.length
    }
    yield* sandbox.forget(id)
    if (page.end._tag !== "Exited" || page.end.code !== 0) {
      return yield* new StartError({
        problem: `${argv[0]} ended so: ${page.end._tag}.`,
        remedy: "Run the tests.",
      })
    }
    return bytes
  })

/** How long it takes, in milliseconds. */
export const time = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<number, E, R> =>
  Effect.map(Effect.timed(effect), ([taken]) => Duration.toMillis(taken))

/** In milliseconds. */
const patience = 60_000

/** No pool unless a measurement is of it, and room for all. */
const roomy = { POOL_MIN: "0", POOL_MAX: "0", MAX_SANDBOXES: "300", MAX_MEMORY: String(2 ** 50) }

const observed = (answered: (operation: SandboxError["operation"]) => void) =>
  Layer.map(Docker.layer, (context) => {
    const docker = Context.get(context, Docker)
    return Context.make(Docker, {
      ...docker,
      use: (operation, call) =>
        Effect.tap(docker.use(operation, call), () => Effect.sync(() => answered(operation))),
    })
  })

const identity = Layer.effect(
  NodeIdentity,
  Effect.gen(function* () {
    const incarnation = yield* randomId("i_")
    return {
      node: NodeId.make(`bench-${incarnation.slice(2, 14)}`),
      incarnation: Incarnation.make(incarnation),
      cluster: `bench-${yield* randomId("o_")}`,
    }
  }),
)
