/** How long a command takes at the `Sandbox` interface, and how many go through, beside the engine's own exec. */
import type Dockerode from "dockerode"
import { Effect } from "effect"
import * as EngineExec from "../EngineExec.ts"
import { percentile, sample, type Samples } from "../Sampling.ts"
import * as Node from "./Node.ts"
import { row } from "../Row.ts"

/** Sandboxes, and containers beside them. */
const count = 8

export const commands = (docker: Dockerode) =>
  Effect.gen(function* () {
    const sandboxes = yield* Effect.replicateEffect(Node.acquire, count)
    const [first] = sandboxes
    const spec = yield* EngineExec.describe(docker, first?.id ?? "")
    const containers = yield* Effect.replicateEffect(EngineExec.startTwin(docker, spec), count)
    const engine = {
      name: "engine",
      once: (client: number) => EngineExec.runTrue(of(containers, client)),
    }
    const ours = {
      name: "ours",
      once: (client: number) => Effect.asVoid(Node.runTrue(of(sandboxes, client))),
    }
    yield* sample<Failure>(
      [
        { ...engine, block: 10 },
        { ...ours, block: 1000, clients: count },
      ],
      once,
    )

    const beside = yield* sample<Failure>([engine, ours], turns)
    const alone = yield* sample([ours], long)
    const many = yield* sample<Failure>(
      [engine, { ...ours, block: 800 }, { ...ours, name: "several", block: 1600, clients: count * inFlight }],
      { clients: count, block: 40, rounds: 5, budgetMs: 20_000 },
    )

    const latency = (samples: Samples | undefined, share: number) => percentile(samples ?? none, share)
    const baseline = "engine exec of true"
    const settled = alone.get("ours")
    const perSecond = (name: string, callers: number) =>
      row({
        name: `true in ${count} sandboxes, ${callers} callers`,
        unit: "commands/s",
        ours: many.get(name)?.throughput ?? Number.NaN,
        baseline: {
          what: `${baseline}, ${count} callers`,
          value: many.get("engine")?.throughput ?? Number.NaN,
        },
        target: { of: "ratio", is: "at least", value: 10 },
        n: many.get(name)?.latencies.length ?? 0,
        settings: { sandboxes: count, callers },
      })
    return [
      row({
        name: "exec true, p50",
        unit: "ms",
        ours: latency(beside.get("ours"), 0.5),
        baseline: { what: baseline, value: latency(beside.get("engine"), 0.5) },
        target: { of: "ratio", is: "at most", value: 1 / 15 },
        n: beside.get("ours")?.latencies.length ?? 0,
        settings: { ...turns },
      }),
      row({
        name: "exec true, p99",
        unit: "ms",
        ours: latency(settled, 0.99),
        baseline: { what: "its own median", value: latency(settled, 0.5) },
        target: { of: "ratio", is: "at most", value: 4 },
        n: settled?.latencies.length ?? 0,
        settings: { ...long },
      }),
      perSecond("ours", count),
      perSecond("several", count * inFlight),
    ]
  }).pipe(Effect.scoped)

/** Commands in flight in each sandbox, where it is more than one. */
const inFlight = 8

const once = { clients: 1, block: 1, rounds: 1, budgetMs: 10_000 }

const turns = { clients: 1, block: 10, rounds: 30, budgetMs: 20_000 }

const long = { clients: 1, block: 500, rounds: 8, budgetMs: 15_000 }

type Failure = Effect.Effect.Error<ReturnType<typeof EngineExec.runTrue | typeof Node.runTrue>>

const none = { latencies: [] }

const of = <A>(all: ReadonlyArray<A>, index: number): A => {
  const one = all[index % all.length]
  if (one === undefined) throw new RangeError("there is none")
  return one
}
