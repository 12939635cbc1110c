/** What a node makes of the ports of others. */
import { Runner, RunnerAddress, RunnerStorage, ShardingConfig } from "@effect/cluster"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { createServer } from "node:net"
import * as DeadRunners from "../../src/cluster/DeadRunners.ts"
import * as Port from "../../scripts/process/Port.ts"
import * as TestNode from "../support/TestNode.ts"
import { until } from "../support/Until.ts"

const at = (port: number) => RunnerAddress.make("127.0.0.1", port)

/** A port that takes connections and never says a word, as a node that stands still. */
const silent = Effect.gen(function* () {
  const port = yield* Port.free
  yield* Effect.acquireRelease(
    Effect.async<ReturnType<typeof createServer>>((resume) => {
      const server = createServer((socket) => socket.on("error", () => undefined))
      server.listen(port, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => void server.close()),
  )
  return port
})

/** Has a node look after these others; tells whom it has found dead. */
const watching = (others: ReadonlyArray<RunnerAddress.RunnerAddress>, self: RunnerAddress.RunnerAddress) =>
  Effect.gen(function* () {
    const dead = new Set<number>()
    const memory = yield* RunnerStorage.makeMemory
    const storage = RunnerStorage.RunnerStorage.of({
      ...memory,
      getRunners: Effect.sync(() =>
        others.map((address) => [
          Runner.make({ address, groups: ["default"], weight: 1 }),
          !dead.has(address.port),
        ]),
      ),
      setRunnerHealth: ({ port }) => Effect.sync(() => void dead.add(port)),
    })
    yield* Layer.build(
      DeadRunners.layer.pipe(
        Layer.provide(Layer.succeed(RunnerStorage.RunnerStorage, storage)),
        Layer.provide(ShardingConfig.layer({ runnerAddress: Option.some(self) })),
        Layer.provide(TestNode.settings({})),
      ),
    )
    return dead
  })

describe("A node", () => {
  it.scopedLive("finds those dead whose ports refuse it, however many, and nobody else", () =>
    Effect.gen(function* () {
      const [alive, frozen] = [yield* silent, yield* silent]
      const gone = yield* Effect.replicateEffect(Port.free, 5)
      const self = at(alive)
      const dead = yield* watching([self, at(frozen), ...gone.map(at)], self)
      yield* until(
        Effect.sync(() => dead.size),
        (size) => size === gone.length,
      )
      yield* Effect.sleep("1 second")
      assert.sameMembers([...dead], gone)
    }),
  )

  it.scopedLive("that is not counted among the others judges nobody", () =>
    Effect.gen(function* () {
      const [here, gone] = [yield* Port.free, yield* Port.free]
      const dead = yield* watching([at(gone)], at(here))
      yield* Effect.sleep("2 seconds")
      assert.deepStrictEqual([...dead], [])
    }),
  )
})
