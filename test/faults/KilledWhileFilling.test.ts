/** A node that is killed at one step after another of making a sandbox on a disk. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { join } from "node:path"
import * as Child from "../../scripts/process/Child.ts"
import * as Port from "../../scripts/process/Port.ts"
import * as Project from "../../scripts/process/Project.ts"
import { TestCluster } from "../support/TestCluster.ts"
import * as Traces from "../support/Traces.ts"
import { until } from "../support/Until.ts"

const MiB = 1024 * 1024

const templates = (pooled: number) => ({
  TEMPLATES: JSON.stringify({
    disk: { medium: "disk", workspace: 32 * MiB, home: 16 * MiB, pool_min: pooled, pool_max: pooled },
  }),
})

/** Starts a node beside those of the cluster, and does not wait until it is ready. */
const started = (cluster: TestCluster["Type"], pooled: number) =>
  Effect.gen(function* () {
    const { databaseUrl, settings } = yield* cluster.state
    const folder = join(cluster.runFolder, "victim")
    return yield* Child.start({
      command: process.execPath,
      args: [Project.built("main.js")],
      env: {
        ...process.env,
        ...settings,
        ...templates(pooled),
        DATABASE_URL: databaseUrl,
        HTTP_PORT: String(yield* Port.free),
        RUNNER_PORT: String(yield* Port.free),
        DATA_DIR: folder,
        NODE_ID: "victim",
      },
      output: `${folder}.log`,
    })
  })

/** What there is beside what the surviving node has, which has no sandboxes. */
type Step = (traces: Traces.Traces) => boolean

const steps: ReadonlyArray<readonly [what: string, step: Step]> = [
  ["a disk's image", ({ images }) => images.length >= 1],
  ["a disk's device", ({ devices }) => devices.length >= 1],
  ["both devices", ({ devices }) => devices.length >= 2],
  ["a container", ({ containers }) => containers.length >= 1],
  ["its process", ({ processes }) => processes.some((name) => name.startsWith("containerd-shim"))],
  ["its agent", ({ processes }) => processes.some((name) => name.startsWith("ld.so"))],
  ["another container", ({ containers }) => containers.length >= 2],
  ["a third one's disk", ({ containers, images }) => containers.length >= 2 && images.length > 0],
]

describe("A node", () => {
  const whereAble = Traces.able ? it.scopedLive : it.scopedLive.skip

  whereAble("that is killed at any step of filling its pool leaves what another node removes", () =>
    Effect.gen(function* () {
      const { disks, traces } = yield* Traces.machine
      const layer = TestCluster.layer({ nodes: 1, env: { DISK_DIR: disks, ...templates(0) } })
      const cluster = Context.get(yield* Layer.build(layer), TestCluster)
      const look = traces(cluster)
      const before = yield* look
      assert.deepStrictEqual({ ...before, processes: [] }, Traces.nothing)
      for (const [what, step] of steps) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { exited, signal } = yield* started(cluster, 4)
            const half = yield* until(look, step)
            yield* signal("SIGKILL")
            yield* exited
            const { images, devices, volumes, containers } = half
            console.log(
              `killed with ${what}: ${images.length} images, ${devices.length} devices, ` +
                `${containers.length} containers, ${volumes.length} volumes`,
            )
          }),
        )
        yield* Traces.comesTo(look, before)
      }
    }),
  )
})
