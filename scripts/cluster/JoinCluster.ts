/** `scripts/start --join FILE`: one more node for a cluster that runs on this machine, until Ctrl-C. */
import { existsSync } from "node:fs"
import { Effect, Option, Ref } from "effect"
import type { Scope } from "effect"
import { realpathSync } from "node:fs"
import { runs } from "../process/Alive.ts"
import * as ProcessLock from "../process/ProcessLock.ts"
import * as Project from "../process/Project.ts"
import { step } from "../process/Progress.ts"
import { StartError } from "../process/StartError.ts"
import * as Machine from "../setup/Machine.ts"
import { freshId, withNode, withoutNode } from "./LocalCluster.ts"
import * as LocalNode from "./LocalNode.ts"
import { followFiles } from "./NodeLogs.ts"
import * as NodeSettings from "./NodeSettings.ts"
import * as RunFolder from "./RunFolder.ts"
import type { StartOptions } from "./StartOptions.ts"
import * as StateFile from "./StateFile.ts"

/** Runs a node in a cluster until it is interrupted, which takes the node out again; fails when the node dies. */
export const joinCluster = (
  options: Extract<StartOptions, { _tag: "Join" }>,
): Effect.Effect<never, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    const state = yield* StateFile.read(options.stateFile)
    const file = realpathSync(options.stateFile)
    if (!runs(state.balancer.pid, Project.built("scripts/balancer.js"))) {
      return yield* new StartError({
        problem: `The cluster of ${options.stateFile} does not run any more.`,
        remedy: "Start one with `scripts/start --state FILE`.",
      })
    }
    const machine = yield* Machine.prepare(options)
    const id = yield* options.nodeId === undefined ? reserveAny(file) : reserve(file, options.nodeId)
    const runFolder = yield* RunFolder.make
    if (options.verbose) yield* followFiles([LocalNode.logOf(runFolder, id)])
    const { settings } = yield* StateFile.read(file)
    yield* step(`Starting ${id} (log: ${LocalNode.logOf(runFolder, id)}) …`)
    const node = yield* LocalNode.start({
      id,
      databaseUrl: state.databaseUrl,
      settings: { ...NodeSettings.shared(), ...settings, ...machine.environment },
      runFolder,
    })
    const died = yield* Ref.make(false)
    yield* Effect.addFinalizer(() =>
      StateFile.update(file, (state) => withoutNode(state, node.entry)).pipe(
        Effect.ignore,
        Effect.unlessEffect(Ref.get(died)),
      ),
    )
    yield* StateFile.update(file, (state) => withNode(state, node.entry))
    yield* Effect.sync(() =>
      process.stdout.write(`${id} serves ${state.mcpUrl} with the others. Ctrl-C takes it out.\n`),
    )
    const { code, signal } = yield* Effect.raceFirst(node.child.exited, clusterEnded(options.stateFile, file))
    yield* Ref.set(died, true)
    return yield* new StartError({
      problem: `${id} has ended (${signal ?? `code ${code}`}); the others go on.`,
      remedy: `\`scripts/start --join ${options.stateFile} --node-id ${id}\` brings it back.`,
    })
  })

/** Waits until the script that started the cluster has ended, and taken the state file with it. */
const clusterEnded = (name: string, file: string) =>
  Effect.sync(() => existsSync(file)).pipe(
    Effect.delay("1 second"),
    Effect.repeat({ while: (exists) => exists }),
    Effect.zipRight(
      new StartError({
        problem: `The cluster of ${name} has ended.`,
        remedy: "Start it, then join it again.",
      }),
    ),
  )

/** Takes an id for this script, so that no other join takes it; held until the scope closes. */
const reserve = (file: string, id: string) =>
  Effect.gen(function* () {
    const taken = new StartError({
      problem: `${id} is alive in this cluster.`,
      remedy: "Name another id with --node-id, or stop that node first.",
    })
    yield* Effect.mapError(ProcessLock.acquire(`${file}.${id}`), () => taken)
    const { nodes } = yield* StateFile.read(file)
    const entry = nodes.find((node) => node.id === id)
    if (entry !== undefined && runs(entry.pid, Project.built("main.js"))) return yield* taken
    return id
  })

const reserveAny = (file: string): Effect.Effect<string, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    const state = yield* StateFile.read(file)
    for (let extra = 0; extra < 32; extra++) {
      const id = freshId(state, extra)
      const lock = yield* Effect.option(ProcessLock.acquire(`${file}.${id}`))
      if (Option.isSome(lock)) return id
    }
    return yield* new StartError({ problem: "Too many nodes join at once.", remedy: "Try again." })
  })
