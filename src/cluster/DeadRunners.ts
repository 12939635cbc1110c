/**
 * Notices at once that the process of another node has died: its machine refuses connections to its port. The library
 * asks one node alone whether the others live, and where that is the one that died, its heartbeat has to run out first.
 * A node that is only slow, or cut off, refuses nothing; it is left to the library.
 */
import { RunnerStorage, ShardingConfig } from "@effect/cluster"
import { Effect, Layer, Option, Schedule } from "effect"
import { connect } from "node:net"

interface Address {
  readonly host: string
  readonly port: number
}

/** Each node looks after so many that follow it in the order of their addresses, so that all are seen by somebody. */
const looksAfter = 2

export const layer = Layer.scopedDiscard(
  Effect.gen(function* () {
    const storage = yield* RunnerStorage.RunnerStorage
    const { runnerAddress } = yield* ShardingConfig.ShardingConfig
    const self = Option.getOrThrow(runnerAddress)

    const look = Effect.gen(function* () {
      const alive = (yield* storage.getRunners)
        .flatMap(([{ address }, healthy]) => (healthy ? [address] : []))
        .sort((a, b) => nameOf(a).localeCompare(nameOf(b)))
      const here = alive.findIndex(({ host, port }) => host === self.host && port === self.port)
      // One that is not counted among them itself may be the one that is cut off.
      if (here < 0) return
      const next = [...alive.slice(here + 1), ...alive.slice(0, here)].slice(0, looksAfter)
      yield* Effect.forEach(
        next,
        (address) =>
          Effect.gen(function* () {
            // Twice: a node that restarts has its port again in a moment.
            if (!(yield* refuses(address)) || !(yield* Effect.delay(refuses(address), "100 millis"))) return
            yield* Effect.logWarning("a node has died", { address: nameOf(address) })
            yield* storage.setRunnerHealth(address, false)
          }),
        { concurrency: looksAfter, discard: true },
      )
    })
    yield* look.pipe(
      Effect.catchAll((error) => Effect.logDebug("the other nodes were not looked at", error)),
      Effect.repeat(Schedule.spaced("500 millis")),
      Effect.forkScoped,
    )
  }),
)

const nameOf = ({ host, port }: Address) => `${host}:${port}`

/** Whether nobody listens there. */
const refuses = ({ host, port }: Address) =>
  Effect.async<boolean>((resume) => {
    const socket = connect({ host, port })
    const end = (refused: boolean) => {
      socket.destroy()
      resume(Effect.succeed(refused))
    }
    socket.once("connect", () => end(false))
    socket.once("error", (error: NodeJS.ErrnoException) => end(error.code === "ECONNREFUSED"))
    return Effect.sync(() => socket.destroy())
  }).pipe(Effect.timeoutTo({ duration: "1 second", onTimeout: () => false, onSuccess: (refused) => refused }))
