/** One node process on this machine: started on free ports, ready before anyone learns of it, ended with its scope. */
import { Duration, Effect, Schedule, Schema } from "effect"
import type { Scope } from "effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import * as Child from "../process/Child.ts"
import { lastLine } from "../process/Command.ts"
import * as Port from "../process/Port.ts"
import * as Project from "../process/Project.ts"
import { StartError } from "../process/StartError.ts"
import type { NodeEntry } from "./ClusterState.ts"

export interface LocalNodeOptions {
  readonly id: string
  readonly databaseUrl: string
  /** What all nodes of the cluster share, as environment variables. */
  readonly settings: Readonly<Record<string, string>>
  /** The file that Node runs; the build's otherwise. */
  readonly program?: string | undefined
  /** The folder for its log and its data. */
  readonly runFolder: string
}

export interface LocalNode {
  readonly entry: NodeEntry
  readonly clusterId: string
  readonly child: Child.Child
}

/** Starts a node and waits until it is ready; fails with its own sentence where it cannot start. */
export const start = (options: LocalNodeOptions): Effect.Effect<LocalNode, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    const main = options.program ?? Project.built("main.js")
    if (!existsSync(main)) {
      return yield* new StartError({ problem: `${main} is missing.`, remedy: "Run `npm run build`." })
    }
    const [http, runner] = [yield* Port.free, yield* Port.free]
    const log = logOf(options.runFolder, options.id)
    const child = yield* Child.start({
      command: process.execPath,
      // Most of what a call allocates is gone when it ends: with more room for that, less of it is collected.
      args: ["--max-semi-space-size=32", main],
      cwd: Project.root,
      env: {
        ...process.env,
        RUNNER_HOST: "127.0.0.1",
        // The balancer is told before.
        LEAVE_DELAY: "200 millis",
        RUNNER_PORT: String(runner),
        ...options.settings,
        DATABASE_URL: options.databaseUrl,
        HTTP_HOST: "127.0.0.1",
        HTTP_PORT: String(http),
        DATA_DIR: join(options.runFolder, options.id),
        NODE_ID: options.id,
      },
      output: log,
      stopWithin: "50 seconds",
    })
    const url = `http://127.0.0.1:${http}`
    const { incarnation, cluster } = yield* Effect.raceFirst(
      ready(url, options.id, log),
      failed(child, options.id, log),
    )
    return { entry: { id: options.id, incarnation, url, pid: child.pid }, clusterId: cluster, child }
  })

/** The file that a node's log goes to. */
export const logOf = (runFolder: string, id: string): string => join(runFolder, `${id}.log`)

const Readiness = Schema.Struct({
  ready: Schema.Literal(true),
  incarnation: Schema.String,
  cluster: Schema.String,
})

const ready = (url: string, id: string, log: string) =>
  Effect.tryPromise((signal) => fetch(`${url}/readyz`, { signal }).then((answer) => answer.json())).pipe(
    Effect.flatMap(Schema.decodeUnknown(Readiness)),
    Effect.retry(Schedule.spaced("50 millis")),
    Effect.timeoutFail({
      duration: Duration.seconds(60),
      onTimeout: () =>
        new StartError({ problem: `${id} is not ready after 60 s${lastLine(log)}.`, remedy: `See ${log}.` }),
    }),
    Effect.catchTag("ParseError", "UnknownException", Effect.die),
  )

const failed = (child: Child.Child, id: string, log: string) =>
  Effect.flatMap(
    child.exited,
    () => new StartError({ problem: `${id} could not start${lastLine(log)}.`, remedy: `Its log is ${log}.` }),
  )
