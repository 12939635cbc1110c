/** What sandboxes cost that do nothing, and how soon an agent is ready. */
import type Dockerode from "dockerode"
import { Effect } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as ChargedMemory from "./ChargedMemory.ts"
import * as Node from "./Node.ts"
import { median, row } from "../Row.ts"

/** Small ones, so that the machine need not have what all together were promised. */
export const settings = {
  SANDBOX_MEMORY: String(64 * 2 ** 20),
  SANDBOX_WORKSPACE: String(16 * 2 ** 20),
  SANDBOX_HOME: String(8 * 2 ** 20),
  SANDBOX_TMP: String(8 * 2 ** 20),
}

/** From the engine's answer to a container's start until its agent has answered the node. */
export const ready = (site: (answered: (operation: string) => void) => ReturnType<typeof Node.on>) =>
  Effect.suspend(() => {
    let startedAt = 0
    const launch = Effect.scoped(Effect.map(Node.acquire, () => performance.now() - startedAt))
    return launch.pipe(
      Effect.zipRight(Effect.replicateEffect(launch, starts)),
      site((operation) => {
        if (operation === "start") startedAt = performance.now()
      }),
    )
  }).pipe(
    Effect.map((taken) => [
      row({
        name: "agent ready after the container's start",
        unit: "ms",
        ours: median(taken),
        target: { of: "ours", is: "at most", value: 150 },
        n: starts,
      }),
    ]),
  )

export const idle = (docker: Dockerode) =>
  Effect.gen(function* () {
    // What the first one brings is not the price of each.
    yield* Node.acquire
    const before = yield* occupied
    const sandboxes = yield* Effect.all(
      Array.from({ length: count }, () => Node.acquire),
      { concurrency: 4 },
    )
    const after = yield* occupied
    const fresh = yield* Effect.forEach(sandboxes, ({ id }) => ChargedMemory.of(docker, id))
    const used = sandboxes.slice(0, users)
    yield* Effect.forEach(used, (sandbox) => Effect.replicateEffect(Node.runTrue(sandbox), commands))
    const afterwards = yield* Effect.forEach(used, ({ id }) => ChargedMemory.of(docker, id))
    return [
      row({
        name: "memory charged to an idle container",
        unit: "MB",
        ours: median(fresh) / 1e6,
        target: { of: "ours", is: "at most", value: 15 },
        n: fresh.length,
        settings: { measured: ChargedMemory.method, most: Math.max(...fresh) / 1e6 },
      }),
      row({
        name: `the same after ${commands} commands`,
        unit: "MB",
        ours: median(afterwards) / 1e6,
        n: afterwards.length,
        settings: { measured: ChargedMemory.method },
      }),
      row({
        name: `${count} idle sandboxes, memory of the node for each`,
        unit: "MB",
        ours: (after.rss - before.rss) / count / 1e6,
        n: count,
        settings: {
          measured:
            "resident set of the node's process after a collection; objects: heap, buffers and the like",
          residentBefore: before.rss / 1e6,
          objects: (after.heapUsed + after.external - before.heapUsed - before.external) / count / 1e6,
        },
      }),
      row({
        name: `${count} idle sandboxes, memory of all containers`,
        unit: "MB",
        ours: fresh.reduce((sum, bytes) => sum + bytes, 0) / 1e6,
        n: count,
        settings: { measured: ChargedMemory.method },
      }),
    ]
  }).pipe(Effect.parallelFinalizers, Effect.scoped)

const starts = 15

/** Idle sandboxes on the node. */
const count = 100

const users = 5

const commands = 200

/** Of this process, without what nobody refers to. */
const occupied = Effect.sync(() => {
  setFlagsFromString("--expose-gc")
  const collect = runInNewContext("gc") as () => void
  collect()
  collect()
  return process.memoryUsage()
})
