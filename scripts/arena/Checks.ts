/** What must hold when PromptKit Arena runs the kit against three nodes. */
import { Data, Effect, Either, Schedule } from "effect"
import type { Scope } from "effect"
import { join } from "node:path"
import { start as startCluster } from "../cluster/ThrowawayCluster.ts"
import { step } from "../process/Progress.ts"
import { StartError } from "../process/StartError.ts"
import type { Engine } from "../setup/Engine.ts"
import { call } from "../setup/EngineStream.ts"
import * as Images from "../setup/Images.ts"
import * as Machine from "../setup/Machine.ts"
import * as TemporaryFolder from "../setup/TemporaryFolder.ts"
import type * as TestReport from "../setup/TestReport.ts"
import * as Kit from "./Kit.ts"
import * as PromptArena from "./PromptArena.ts"

/** Something did not hold. */
class Broken extends Data.TaggedError("Broken")<{ readonly message: string }> {}

interface Bench {
  /** A fresh copy of the kit. */
  readonly kit: Effect.Effect<Kit.Kit, StartError, Scope.Scope>
  readonly engine: Engine
  readonly bridgeImage: string
  readonly mcpUrl: string
  readonly token: string
}

interface Check {
  readonly title: string
  /** Why it cannot be made here, if it cannot. */
  readonly obstacle?: (bench: Bench) => Effect.Effect<string | undefined>
  readonly make: (bench: Bench) => Effect.Effect<void, Broken | StartError, Scope.Scope>
}

/** Makes all checks, one after another, and counts them. Without promptarena all are skipped. */
export const all = (options: {
  readonly install: boolean
}): Effect.Effect<TestReport.TestCounts, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    const promptarena = yield* Effect.either(PromptArena.acquire)
    if (Either.isLeft(promptarena)) {
      for (const { title } of checks) yield* skip(title, promptarena.left)
      return { passed: 0, failed: 0, skipped: checks.length, skippedTitles: checks.map(({ title }) => title) }
    }
    const bench = yield* prepare(promptarena.right, options)
    const counts = { passed: 0, failed: 0, skipped: 0, skippedTitles: [] as Array<string> }
    for (const { make, obstacle, title } of checks) {
      const why = yield* obstacle?.(bench) ?? Effect.succeed(undefined)
      if (why !== undefined) {
        yield* skip(title, why)
        counts.skipped++
        counts.skippedTitles.push(title)
        continue
      }
      const outcome = yield* Effect.either(Effect.scoped(make(bench)))
      counts[Either.isRight(outcome) ? "passed" : "failed"]++
      yield* step(Either.isRight(outcome) ? `✓ ${title}` : `✗ ${title}: ${outcome.left.message}`)
    }
    return counts
  })

const skip = (title: string, why: string) => step(`↓ ${title} (skipped: ${why})`)

const prepare = (promptarena: string, options: { readonly install: boolean }) =>
  Effect.gen(function* () {
    const machine = yield* Machine.prepare(options)
    const bridgeImage = yield* Images.bridge(machine.engine, machine.agentImage)
    const { cluster, engine, token } = yield* startCluster({
      ...options,
      nodes: 3,
      host: yield* gateway(machine.engine),
    })
    const folder = yield* TemporaryFolder.make
    let copies = 0
    const bench: Bench = {
      kit: Effect.suspend(() =>
        Kit.make({
          folder: join(folder, `kit-${++copies}`),
          promptarena,
          mcpUrl: cluster.mcpUrl,
          token,
          bridgeImage,
        }),
      ),
      engine,
      bridgeImage,
      mcpUrl: cluster.mcpUrl,
      token,
    }
    return bench
  })

/** The address of this machine that containers on the engine's usual network reach. */
const gateway = ({ docker }: Engine) =>
  call(
    () => docker.getNetwork("bridge").inspect() as Promise<{ IPAM: { Config: Array<{ Gateway?: string }> } }>,
  ).pipe(
    Effect.map(({ IPAM }) => IPAM.Config[0]?.Gateway ?? "172.17.0.1"),
    Effect.orElseSucceed(() => "127.0.0.1"),
  )

/** Runs whose seven assertions each were evaluated, and held. */
const green = ({ code, log, runs }: Kit.Outcome, count: number) =>
  code === 0 &&
  runs.length === count &&
  runs.every(
    ({ assertions, error }) => error === "" && assertions.length === 7 && assertions.every((held) => held),
  )
    ? Effect.void
    : new Broken({ message: `promptarena ended with ${code} and ${JSON.stringify(runs)}; its log is ${log}` })

const red = ({ code, log, runs }: Kit.Outcome) =>
  code === 1 && runs.length === 1
    ? Effect.void
    : new Broken({ message: `promptarena ended with ${code} and ${runs.length} runs; its log is ${log}` })

/** By the one file that each run makes, an assertion tells that no other run's is there. */
const checks: ReadonlyArray<Check> = [
  {
    title: "over stdio, four runs at once, each a sandbox of its own",
    make: ({ kit }) =>
      Effect.forEach(
        [1, 2, 3, 4],
        () => Effect.flatMap(kit, ({ run }) => Effect.flatMap(run("stdio"), (outcome) => green(outcome, 1))),
        { concurrency: 4, discard: true },
      ),
  },
  {
    title: "over the cluster's /sse",
    obstacle: ({ mcpUrl, token }) => servesSse(mcpUrl, token),
    make: ({ kit }) =>
      Effect.flatMap(kit, ({ run }) => Effect.flatMap(run("sse"), (outcome) => green(outcome, 1))),
  },
  {
    title: "by source: docker, four runs at once, each a container and a sandbox of its own, gone afterwards",
    obstacle: () =>
      Effect.sync(() => (PromptArena.isInstalled("docker") ? undefined : "there is no docker command")),
    make: ({ bridgeImage, engine, kit }) =>
      Effect.gen(function* () {
        const { run } = yield* kit
        yield* green(yield* run("docker", ["--region", "a,b,c,d", "--concurrency", "4"]), 4)
        yield* call(() =>
          engine.docker.listContainers({ all: true, filters: { ancestor: [bridgeImage] } }),
        ).pipe(
          Effect.mapError(({ reason }) => new Broken({ message: reason })),
          Effect.filterOrFail(
            (left) => left.length === 0,
            (left) => new Broken({ message: `${left.length} containers are left` }),
          ),
          // The engine removes them after it stopped them.
          Effect.retry(Schedule.spaced("250 millis").pipe(Schedule.upTo("20 seconds"))),
        )
      }),
  },
  {
    title: "a wrong expectation of a turn ends the run with code 1",
    make: ({ kit }) =>
      Effect.gen(function* () {
        const { edit, run } = yield* kit
        yield* edit("scenarios/fix-bug.scenario.yaml", '"1 failed"', '"2 failed"')
        yield* red(yield* run("stdio"))
      }),
  },
  {
    title: "a wrong expectation of the workspace ends the run with code 1",
    make: ({ kit }) =>
      Effect.gen(function* () {
        const { edit, run } = yield* kit
        yield* edit("scenarios/fix-bug.scenario.yaml", "runs=1[", "runs=2[")
        yield* red(yield* run("stdio"))
      }),
  },
]

const servesSse = (mcpUrl: string, token: string) =>
  Effect.tryPromise(async (signal) => {
    const answer = await fetch(new URL("/sse", mcpUrl), {
      headers: { authorization: `Bearer ${token}` },
      signal,
    })
    await answer.body?.cancel()
    return answer.status === 200 ? undefined : `it answers ${answer.status}`
  }).pipe(Effect.orElseSucceed(() => "it does not answer"))
