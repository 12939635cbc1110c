/**
 * A cluster for one run of a script, beside whatever else runs on this machine: ports, database, token and image
 * name are its own, and with the scope all of it goes, files too. The logs of a run that failed stay for reading.
 */
import { Effect, Exit } from "effect"
import type { Scope } from "effect"
import { randomBytes } from "node:crypto"
import { rmSync } from "node:fs"
import { join } from "node:path"
import * as LocalCluster from "./LocalCluster.ts"
import * as RunFolder from "./RunFolder.ts"
import { step } from "../process/Progress.ts"
import type { StartError } from "../process/StartError.ts"
import * as EmbeddedPostgres from "../setup/EmbeddedPostgres.ts"
import type { Engine } from "../setup/Engine.ts"
import { call } from "../setup/EngineStream.ts"
import * as Machine from "../setup/Machine.ts"
import * as TemporaryFolder from "../setup/TemporaryFolder.ts"
import * as TestImage from "../setup/TestImage.ts"

export interface ThrowawayCluster {
  readonly cluster: LocalCluster.LocalCluster
  readonly engine: Engine
  /** The bearer token that the nodes ask for. */
  readonly token: string
  /** The sandbox image's name in this run. */
  readonly image: string
  /** Whether the image was missing, and built. */
  readonly imageBuilt: boolean
  /** When the engine, the image and Postgres were there, in milliseconds since 1970. */
  readonly setUpAt: number
}

/** Sets the machine up and starts a cluster, ready to serve when this returns. */
export const start = (options: {
  readonly nodes: number
  /** Whether system packages may be installed. */
  readonly install: boolean
  /** More settings for every node, as environment variables. */
  readonly env?: Readonly<Record<string, string>>
  /** Where the balancer listens. Default 127.0.0.1. */
  readonly host?: string
}): Effect.Effect<ThrowawayCluster, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    const startedAt = Date.now()
    const machine = yield* Machine.prepare(options)
    const imageBuilt = yield* madeSince(machine, startedAt)
    const runFolder = yield* Effect.acquireRelease(RunFolder.make, (folder, exit) =>
      Effect.sync(() => rmSync(folder, { recursive: true, force: true })).pipe(
        Effect.when(() => Exit.isSuccess(exit) || Exit.isInterrupted(exit)),
      ),
    )
    const folder = yield* TemporaryFolder.make
    const postgres = yield* EmbeddedPostgres.start(join(folder, "postgres"))
    const image = yield* TestImage.make(machine.engine, machine.sandboxImage)
    const token = randomBytes(32).toString("base64url")
    const setUpAt = Date.now()
    yield* step(`Starting ${options.nodes} nodes …`)
    const cluster = yield* LocalCluster.start({
      nodes: options.nodes,
      databaseUrl: postgres.url,
      sandboxImage: image,
      env: { ...machine.environment, ...options.env },
      runFolder,
      announce: true,
      token,
      ...(options.host === undefined ? {} : { host: options.host }),
    })
    return { cluster, engine: machine.engine, token, image, imageBuilt, setUpAt }
  })

const madeSince = ({ engine, sandboxImage }: Machine.Machine, time: number) =>
  call(() => engine.docker.getImage(sandboxImage).inspect()).pipe(
    Effect.map(({ Created }) => Date.parse(Created) >= time),
    Effect.orElseSucceed(() => false),
  )
