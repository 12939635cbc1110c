/** Calls of several clients at once, in turns with the engine's own exec. */
import { Effect } from "effect"
import { exec } from "../../../src/tools/commands/Exec.ts"
import { readFile } from "../../../src/tools/files/ReadFile.ts"
import { writeFile } from "../../../src/tools/files/WriteFile.ts"
import type { Result } from "../Bench.ts"
import * as EngineExec from "../EngineExec.ts"
import { type Measured, row } from "../Row.ts"
import { percentile, sample } from "../Sampling.ts"
import * as LeanClient from "./LeanClient.ts"
import * as Postgres from "./Postgres.ts"
import type { Site } from "./Site.ts"
import * as Stages from "./Stages.ts"

interface Turns {
  readonly clients: number
  /** Calls of all clients in one turn; of the engine's the other number. */
  readonly calls: number
  readonly engineCalls: number
  readonly rounds: number
}

const turns: ReadonlyArray<Turns> = [
  { clients: 1, calls: 60, engineCalls: 6, rounds: 5 },
  { clients: 8, calls: 480, engineCalls: 32, rounds: 5 },
  { clients: 64, calls: 320, engineCalls: 64, rounds: 3 },
]

const warmUp: Turns = { clients: 8, calls: 4000, engineCalls: 32, rounds: 1 }

/** Sessions that the clients share, and containers of the engine's exec. */
const sessions = 8

const path = "kilobyte.txt"
const content = "0123456789abcde\n".repeat(64)

interface Kind {
  readonly name: string
  readonly message: LeanClient.Message
  readonly isRight: (text: string) => boolean
  /** Of the ratios to the engine's exec. */
  readonly p50?: Measured["target"]
  readonly throughput?: Measured["target"]
}

/** How many clients the targets speak of. */
const targetClients = 8

const execTrue: Kind = {
  name: "exec true",
  message: LeanClient.toolCall(exec.name, { argv: ["true"] }),
  isRight: (text: string) => text.includes('"exit_code":0'),
  p50: { of: "ratio", is: "at most", value: 1 / 4 },
  throughput: { of: "ratio", is: "at least", value: process.env["CHECKPOINT"] === "call" ? 5 : 12 },
}

const kinds: ReadonlyArray<Kind> = [
  execTrue,
  {
    name: "read_file 1 KB",
    message: LeanClient.toolCall(readFile.name, { path }),
    isRight: (text: string) => text.includes('"size":1024'),
    throughput: { of: "ratio", is: "at least", value: 25 },
  },
  {
    name: "tools/list",
    message: { method: "tools/list", params: {} },
    isRight: (text: string) => text.includes('"exec"'),
  },
]

const baseline = "engine exec of true"

/** Processor time of the node that is called, of the owner and of Postgres, in milliseconds. */
const parts = ["edge", "owner", "Postgres"] as const

/** What one turn, or several, came to. */
interface Taken extends LeanClient.Load {
  readonly cpu: Readonly<Record<(typeof parts)[number], number>>
}

const noCpu = { edge: 0, owner: 0, Postgres: 0 }

const sum = (turns: ReadonlyArray<Taken>): Taken => ({
  latencies: turns.flatMap(({ latencies }) => latencies),
  elapsed: turns.reduce((sum, { elapsed }) => sum + elapsed, 0),
  cpu: turns.reduce(
    (sum, { cpu }) => ({
      edge: sum.edge + cpu.edge,
      owner: sum.owner + cpu.owner,
      Postgres: sum.Postgres + cpu.Postgres,
    }),
    noCpu,
  ),
})

export const calls = (site: Site) =>
  Effect.gen(function* () {
    const { clusterId, edge, engine, foreign, join, owner } = site
    const names = yield* foreign(sessions)
    const most = Math.max(...turns.map(({ clients }) => clients))
    const clients = yield* Effect.forEach(Array.from({ length: most }).keys(), (n) =>
      join(names[n % sessions] ?? ""),
    )
    yield* Effect.forEach(clients.slice(0, sessions), (client) =>
      client.call(writeFile.name, { path, content }),
    )
    const engineExec = yield* EngineExec.make(engine.docker, clusterId, sessions)
    const ofEngine = ({ clients, engineCalls }: Turns) =>
      Effect.map(
        sample([{ name: baseline, once: (n) => engineExec[n % sessions] ?? Effect.void }], {
          clients,
          block: engineCalls,
          rounds: 1,
          budgetMs: 60_000,
        }),
        (samples): Taken => {
          const { latencies = [], throughput = Number.NaN } = samples.get(baseline) ?? {}
          return { latencies, elapsed: (latencies.length / throughput) * 1000, cpu: noCpu }
        },
      )
    const looks = Effect.all({
      edge: edge.probe.cpu,
      owner: owner.probe.cpu,
      postgres: yield* Postgres.make(site.databaseUrl),
    })
    const ofOurs = ({ message, isRight }: Kind, { clients: count, calls }: Turns) =>
      Effect.gen(function* () {
        const before = yield* looks
        const load = yield* LeanClient.load(clients.slice(0, count), message, calls, isRight)
        const after = yield* looks
        const cpu = {
          edge: after.edge - before.edge,
          owner: after.owner - before.owner,
          Postgres: Postgres.between(before.postgres, after.postgres),
        }
        return { ...load, cpu }
      })

    // The first calls are slow, until what they run is compiled: of interest is a node that has served for a while.
    yield* ofEngine(warmUp)
    yield* Effect.forEach(kinds, (kind) => ofOurs(kind, warmUp))
    const results: Array<Result> = []
    for (const turn of turns) {
      const taken = yield* Effect.replicateEffect(
        Effect.all({
          engine: ofEngine(turn),
          ours: Effect.forEach(kinds, (kind) => ofOurs(kind, turn)),
        }),
        turn.rounds,
      )
      const engine = sum(taken.map(({ engine }) => engine))
      kinds.forEach((kind, index) => {
        const ours = sum(taken.flatMap(({ ours }) => ours[index] ?? []))
        results.push(...resultsOf(kind, turn, engine, ours))
      })
    }
    const [[taken, ofOwner], ofEdge] = yield* edge.probe.profile(
      owner.probe.profile(ofOurs(execTrue, profiled)),
    )
    const stages = [
      ...Stages.rows("edge", ofEdge, taken.cpu.edge / profiled.calls),
      ...Stages.rows("owner", ofOwner, taken.cpu.owner / profiled.calls),
    ].map(({ name, ours }) =>
      row({
        name: `${execTrue.name}, ${profiled.clients} clients, ${name}`,
        unit: "ms/call",
        ours,
        n: profiled.calls,
      }),
    )
    return [...results, ...stages]
  }).pipe(Effect.scoped)

const profiled: Turns = { clients: 8, calls: 1200, engineCalls: 0, rounds: 1 }

const resultsOf = (
  { name, p50, throughput }: Kind,
  { clients, calls, engineCalls, rounds }: Turns,
  engine: Taken,
  ours: Taken,
): ReadonlyArray<Result> => {
  const n = ours.latencies.length
  const perSecond = ({ latencies, elapsed }: Taken) => (latencies.length / elapsed) * 1000
  const isTarget = clients === targetClients
  const measure = (what: string, rest: Pick<Measured, "unit" | "ours" | "baseline" | "target">) =>
    row({
      name: `${name}, ${clients} ${clients === 1 ? "client" : "clients"}, ${what}`,
      n,
      settings: { clients, sessions, calls, engineCalls, rounds },
      ...rest,
    })
  const latency = (share: number) => ({
    unit: "ms",
    ours: percentile(ours, share),
    baseline: { what: baseline, value: percentile(engine, share) },
  })
  return [
    measure("p50", { ...latency(0.5), ...(isTarget && p50 !== undefined ? { target: p50 } : {}) }),
    measure("p99", latency(0.99)),
    measure("throughput", {
      unit: "calls/s",
      ours: perSecond(ours),
      baseline: { what: baseline, value: perSecond(engine) },
      ...(isTarget && throughput !== undefined ? { target: throughput } : {}),
    }),
    ...parts.map((part) => measure(`CPU of ${part}`, { unit: "ms/call", ours: ours.cpu[part] / n })),
  ]
}
