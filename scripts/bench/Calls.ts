/**
 * How long a call takes that comes in at a node which does not own the session, and how many go through,
 * beside the engine's own exec of the same command on a container like it.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import { closeSession } from "../../src/tools/sessions/CloseSession.ts"
import { exec } from "../../src/tools/commands/Exec.ts"
import { readFile } from "../../src/tools/files/ReadFile.ts"
import { sessionInfo } from "../../src/tools/sessions/SessionInfo.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import * as McpClient from "../walkthrough/McpClient.ts"
import * as ThrowawayCluster from "../cluster/ThrowawayCluster.ts"
import { step } from "../process/Progress.ts"
import { StartError } from "../process/StartError.ts"
import type { Bench, Result } from "./Bench.ts"
import * as EngineExec from "./EngineExec.ts"
import { percentile, type Probe, sample, type Samples, type SamplingOptions } from "./Sampling.ts"

export const calls: Bench = {
  name: "calls",
  summary: "exec, read_file and tools/list through a node that does not own the session",
  measure: (options) =>
    Effect.gen(function* () {
      const { cluster, engine, token } = yield* ThrowawayCluster.start({ nodes: 3, ...options })
      const { clusterId, nodes } = yield* cluster.state
      const edge = nodes[0]?.url ?? ""
      const { name, owner } = yield* foreignSession(edge, token)
      const clients = yield* Effect.forEach(Array.from({ length: manyClients }), () =>
        join(edge, token, name),
      )

      const one = clientOf(clients, 0)
      yield* one.call(writeFile, { path, content })
      const [engineExec = Effect.void] = yield* EngineExec.make(engine.docker, clusterId, 1)
      const probes = probesOf(clients, engineExec)
      yield* step(`Measuring; ${owner} owns the session, ${nodes[0]?.id} is called …`)
      yield* sample(probes, { clients: 1, block: 1, rounds: 10, budgetMs: 5000 })
      const single = yield* sample(probes, oneClient)
      const many = yield* sample(probes, eightClients)

      const { owner_node } = yield* one.call(sessionInfo, {})
      if (owner_node !== owner) {
        return yield* new StartError({
          problem: `The session moved from ${owner} to ${owner_node} while it was measured.`,
          remedy: "Measure again on a quiet machine.",
        })
      }
      yield* one.call(closeSession, {})
      return [...resultsOf(single, oneClient), ...resultsOf(many, eightClients)]
    }),
}

const manyClients = 8

const oneClient: SamplingOptions = { clients: 1, block: 1, rounds: 150, budgetMs: 30_000 }

const eightClients: SamplingOptions = { clients: manyClients, block: 24, rounds: 10, budgetMs: 16_000 }

const path = "kilobyte.txt"

const content = "0123456789abcde\n".repeat(64)

/** Opens named sessions through the edge until another node owns one. */
const foreignSession = (edge: string, token: string) =>
  Effect.gen(function* () {
    for (let attempt = 0; attempt < 30; attempt++) {
      const name = `bench-${attempt}`
      const info = yield* Effect.scoped(
        Effect.flatMap(join(edge, token, name), (client) =>
          client
            .call(sessionInfo, {})
            .pipe(
              Effect.tap(({ owner_node, edge_node }) =>
                owner_node === edge_node ? client.call(closeSession, {}) : Effect.void,
              ),
            ),
        ),
      )
      if (info.owner_node !== info.edge_node) return { name, owner: info.owner_node }
    }
    return yield* new StartError({
      problem: "One node owns all of 30 sessions.",
      remedy: "See the nodes' logs in .codegen/run: the others hold no shards.",
    })
  })

const join = (
  edge: string,
  token: string,
  session: string,
): Effect.Effect<McpClient.McpClient, StartError, Scope.Scope> =>
  McpClient.connect({ url: `${edge}/mcp?session=${session}`, token })

const clientOf = (clients: ReadonlyArray<McpClient.McpClient>, index: number) => {
  const client = clients[index]
  return (
    client ?? { call: () => Effect.dieMessage(`no client ${index}`), tools: Effect.dieMessage("no client") }
  )
}

const baseline = "engine exec of true"

const probesOf = (
  clients: ReadonlyArray<McpClient.McpClient>,
  engineExec: Effect.Effect<void, StartError>,
): ReadonlyArray<Probe<StartError>> => [
  { name: baseline, once: () => engineExec },
  {
    name: "exec true",
    once: (client) =>
      clientOf(clients, client)
        .call(exec, { argv: ["true"] })
        .pipe(Effect.flatMap(({ exit_code }) => (exit_code === 0 ? Effect.void : differs("exec")))),
  },
  {
    name: "read_file 1 KB",
    once: (client) =>
      clientOf(clients, client)
        .call(readFile, { path })
        .pipe(Effect.flatMap((file) => (file.content === content ? Effect.void : differs("read_file")))),
  },
  {
    name: "tools/list",
    once: (client) =>
      clientOf(clients, client).tools.pipe(
        Effect.flatMap((tools) => (tools.length > 0 ? Effect.void : differs("tools/list"))),
      ),
  },
]

const differs = (what: string) =>
  new StartError({ problem: `${what} did not answer what it should.`, remedy: "Run the tests." })

const resultsOf = (
  samples: ReadonlyMap<string, Samples>,
  { clients, block, rounds }: SamplingOptions,
): ReadonlyArray<Result> => {
  const base = samples.get(baseline)
  return [...samples].flatMap(([name, ours]) =>
    base === undefined || ours === base
      ? []
      : measures.map(({ measure, unit, of }) => ({
          name: `${name}, ${clients} ${clients === 1 ? "client" : "clients"}, ${measure}`,
          unit,
          baseline: of(base),
          ours: of(ours),
          ratio: of(ours) / of(base),
          target: null,
          pass: null,
          n: ours.latencies.length,
          settings: { baseline, nodes: 3, clients, block, rounds, node: process.version },
        })),
  )
}

const measures = [
  { measure: "p50", unit: "ms", of: (samples: Samples) => percentile(samples, 0.5) },
  { measure: "p95", unit: "ms", of: (samples: Samples) => percentile(samples, 0.95) },
  { measure: "p99", unit: "ms", of: (samples: Samples) => percentile(samples, 0.99) },
  { measure: "throughput", unit: "calls/s", of: ({ throughput }: Samples) => throughput },
]
