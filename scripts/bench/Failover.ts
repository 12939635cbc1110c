/**
 * How long sessions are without an answer when their node is lost: killed with all that is on it, frozen, or asked to
 * leave. Their files are compared with what was acknowledged. Three nodes; the sandboxes that wait on each are as many
 * as there are sessions.
 */
import { Effect, Fiber, Schedule } from "effect"
import type Dockerode from "dockerode"
import { labels } from "../../src/sandbox/Specification.ts"
import { closeSession } from "../../src/tools/sessions/CloseSession.ts"
import { readFile } from "../../src/tools/files/ReadFile.ts"
import { sessionInfo } from "../../src/tools/sessions/SessionInfo.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import type { LocalCluster } from "../cluster/LocalCluster.ts"
import * as ThrowawayCluster from "../cluster/ThrowawayCluster.ts"
import { step } from "../process/Progress.ts"
import { StartError } from "../process/StartError.ts"
import * as McpClient from "../walkthrough/McpClient.ts"
import type { Bench } from "./Bench.ts"
import { row } from "./Row.ts"
import { percentile } from "./Sampling.ts"

export const failover: Bench = {
  name: "failover",
  summary: "how long sessions wait when their node is killed, frozen, or asked to leave, and what they lose",
  measure: (options) =>
    Effect.gen(function* () {
      const site = yield* ThrowawayCluster.start({ nodes: 3, ...options, env })
      const results = []
      for (const way of ways) {
        const { rounds, target, what } = way
        yield* step(`Measuring ${sessions} sessions, of which some lose a node that is ${what} …`)
        const waited: Array<number> = []
        let lost = 0
        for (let round = 0; round < rounds; round++) {
          const found = yield* lose(site, `${what}-${round}`.replaceAll(" ", "-"), way)
          waited.push(...found.waited)
          lost += found.lost
        }
        const measured = { unit: "ms", n: waited.length, settings: { sessions, rounds, nodes: 3 } }
        const at = (part: number) => percentile({ latencies: waited }, part)
        results.push(
          row({ ...measured, name: `${what}, to the next success, p50`, ours: at(0.5) }),
          row({
            ...measured,
            name: `${what}, to the next success, p95`,
            ours: at(0.95),
            ...(target === undefined ? {} : { target: { of: "ours", is: "at most", value: target } }),
          }),
          row({
            ...measured,
            name: `${what}, acknowledged files lost`,
            unit: "files",
            ours: lost,
            target: { of: "ours", is: "at most", value: 0 },
          }),
        )
      }
      return results
    }),
}

const sessions = 12

const env = {
  POOL_MIN: String(sessions),
  POOL_MAX: String(sessions),
  MAX_SANDBOXES: String(5 * sessions),
  MAX_MEMORY: String(2 ** 40),
}

interface Way {
  readonly what: string
  readonly rounds: number
  /** For the 95th percentile, in milliseconds. */
  readonly target: number | undefined
  readonly end: (cluster: LocalCluster, node: string, docker: Dockerode) => Effect.Effect<unknown, StartError>
  /** Has the node there again. */
  readonly back: (cluster: LocalCluster, node: string) => Effect.Effect<unknown, StartError>
}

/** Its containers and its process, as a machine that burns. */
const kill: Way["end"] = (cluster, node, docker) =>
  Effect.gen(function* () {
    const { nodes } = yield* cluster.state
    const incarnation = nodes.find(({ id }) => id === node)?.incarnation ?? "none"
    yield* cluster.kill(node)
    yield* Effect.tryPromise({
      try: async () => {
        const found = await docker.listContainers({
          all: true,
          filters: { label: [`${labels.incarnation}=${incarnation}`] },
        })
        await Promise.all(found.map(({ Id }) => docker.getContainer(Id).remove({ force: true, v: true })))
      },
      catch: (cause) =>
        new StartError({
          problem: "The containers of a node were not removed.",
          remedy: "Measure again.",
          cause,
        }),
    })
  })

const ways: ReadonlyArray<Way> = [
  { what: "killed", rounds: 5, target: 6000, end: kill, back: (cluster, node) => cluster.addNode(node) },
  {
    what: "frozen",
    rounds: 2,
    target: 12_000,
    end: (cluster, node) => cluster.freeze(node),
    back: (cluster, node) => cluster.thaw(node),
  },
  {
    what: "asked to leave",
    rounds: 3,
    target: undefined,
    end: (cluster, node) => cluster.stop(node),
    back: (cluster, node) => cluster.addNode(node),
  },
]

/** Ends a node that owns some of the sessions, and tells how long each of those waited for an answer. */
const lose = (
  { cluster, engine, token }: ThrowawayCluster.ThrowawayCluster,
  name: string,
  { back, end }: Way,
) =>
  Effect.gen(function* () {
    const { nodes } = yield* cluster.state
    const victim = nodes[0]?.id ?? "none"
    const edge = nodes[1]?.url ?? ""
    const content = (index: number) => `${name} ${index}\n`.repeat(100)
    const opened = yield* Effect.forEach(
      Array.from({ length: sessions }, (_, index) => index),
      (index) =>
        at(edge, token, `${name}-${index}`, (client) =>
          Effect.gen(function* () {
            yield* client.call(writeFile, { path: "file", content: content(index) })
            return { index, owner: (yield* client.call(sessionInfo, {})).owner_node }
          }),
        ),
      { concurrency: 4 },
    )
    const moving = opened.filter(({ owner }) => owner === victim)
    // The pools are full again.
    yield* Effect.sleep("5 seconds")
    const ending = yield* Effect.fork(end(cluster, victim, engine.docker))
    const read = ({ index }: { readonly index: number }) =>
      at(edge, token, `${name}-${index}`, (client) => client.call(readFile, { path: "file" })).pipe(
        Effect.retry({ schedule: Schedule.spaced("50 millis"), times: 600 }),
        Effect.map((file) => file.content === content(index)),
      )
    // From when it is over: one that is asked to leave answers on while it does.
    const answers = yield* Effect.forEach(
      moving,
      (session) =>
        Effect.gen(function* () {
          let longest = 0
          for (;;) {
            const from = performance.now()
            const done = (yield* Fiber.poll(ending))._tag === "Some"
            const isWhole = yield* read(session)
            longest = Math.max(longest, performance.now() - from)
            if (done || !isWhole) return { isWhole, longest }
          }
        }),
      { concurrency: "unbounded" },
    )
    yield* Fiber.join(ending)
    yield* back(cluster, victim)
    yield* Effect.forEach(
      opened,
      ({ index }) => at(edge, token, `${name}-${index}`, (client) => client.call(closeSession, {})),
      { concurrency: 4 },
    )
    return {
      waited: answers.map(({ longest }) => longest),
      lost: answers.filter(({ isWhole }) => !isWhole).length,
    }
  })

/** Does something in a session of that name through one node. */
const at = <A>(
  edge: string,
  token: string,
  session: string,
  use: (client: McpClient.McpClient) => Effect.Effect<A, StartError>,
) => Effect.scoped(Effect.flatMap(McpClient.connect({ url: `${edge}/mcp?session=${session}`, token }), use))
