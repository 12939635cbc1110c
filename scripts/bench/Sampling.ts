/**
 * Several things measured in turns, so that a machine that slows down or speeds up meanwhile does so for all.
 */
import { Clock, Effect } from "effect"

/** Something to measure. */
export interface Probe<E> {
  readonly name: string
  /** Does it once, as one of the clients, which are counted from 0. */
  readonly once: (client: number) => Effect.Effect<void, E>
  /** As in the options, for this probe alone. */
  readonly clients?: number
  readonly block?: number
}

export interface Samples {
  /** Of each call, in milliseconds. */
  readonly latencies: ReadonlyArray<number>
  /** Calls a second. */
  readonly throughput: number
}

export interface SamplingOptions {
  /** Clients that call at once, each in turn after its last answer. */
  readonly clients: number
  /** Calls of a probe, by all clients together, before it is the next probe's turn. */
  readonly block: number
  /** Turns of each probe, fewer where the time is over. */
  readonly rounds: number
  /** Time for all, in milliseconds; a round that has begun is finished. */
  readonly budgetMs: number
}

/** Measures the probes in turns, each round in another order; gives the samples by name. */
export const sample = <E>(
  probes: ReadonlyArray<Probe<E>>,
  { clients, block, rounds, budgetMs }: SamplingOptions,
): Effect.Effect<ReadonlyMap<string, Samples>, E> =>
  Effect.gen(function* () {
    const taken = new Map(probes.map(({ name }) => [name, { latencies: [] as Array<number>, elapsed: 0 }]))
    const startedAt = yield* now
    for (let round = 0; round < rounds; round++) {
      if (round > 0 && (yield* now) - startedAt > budgetMs) break
      for (const probe of rotated(probes, round)) {
        const samples = taken.get(probe.name)
        const turn = yield* oneTurn(probe, probe.clients ?? clients, probe.block ?? block)
        samples?.latencies.push(...turn.latencies)
        if (samples !== undefined) samples.elapsed += turn.elapsed
      }
    }
    return new Map(
      [...taken].map(([name, { latencies, elapsed }]) => [
        name,
        { latencies, throughput: (latencies.length / elapsed) * 1000 },
      ]),
    )
  })

/** The value that a share of the samples does not exceed: the nearest rank. */
export const percentile = ({ latencies }: Pick<Samples, "latencies">, share: number): number =>
  latencies.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(latencies.length * share) - 1)] ?? Number.NaN

const oneTurn = <E>({ once }: Probe<E>, clients: number, block: number) =>
  Effect.gen(function* () {
    const latencies: Array<number> = []
    let left = block
    const startedAt = yield* now
    const client = (index: number) =>
      Effect.gen(function* () {
        while (left-- > 0) {
          const calledAt = yield* now
          yield* once(index)
          latencies.push((yield* now) - calledAt)
        }
      })
    yield* Effect.forEach(Array.from({ length: clients }).keys(), client, {
      concurrency: "unbounded",
      discard: true,
    })
    return { latencies, elapsed: (yield* now) - startedAt }
  })

const rotated = <A>(all: ReadonlyArray<A>, by: number) => [
  ...all.slice(by % all.length),
  ...all.slice(0, by % all.length),
]

const now = Effect.map(Clock.currentTimeNanos, (nanoseconds) => Number(nanoseconds) / 1e6)
