/** What a node's process takes, as scripts/probe.ts answers from inside it. */
import { Effect, Schema } from "effect"
import { request } from "node:http"
import type { Profiler } from "node:inspector"
import { join } from "node:path"
import * as Project from "../../process/Project.ts"
import { StartError } from "../../process/StartError.ts"

export interface Probe {
  /** Processor time of the process so far, in milliseconds. */
  readonly cpu: Effect.Effect<number, StartError>
  /** Memory of the process, in bytes, without what nobody refers to. */
  readonly memory: Effect.Effect<typeof Memory.Type, StartError>
  /** Where the process's time goes while the effect runs. */
  readonly profile: <A, E, R>(
    effect: Effect.Effect<A, E, R>,
  ) => Effect.Effect<readonly [A, Profiler.Profile], E | StartError, R>
}

/** The environment of a node that is to be probed; the folder is for the sockets. */
export const environment = (folder: string) => ({
  NODE_OPTIONS: `--import=${Project.built("scripts/probe.js")}`,
  BENCH_PROBES: folder,
})

export const make = (folder: string, pid: number): Probe => {
  const ask = (path: string) => get(join(folder, `${pid}.sock`), path)
  const decoded = <A, I>(path: string, schema: Schema.Schema<A, I>) =>
    Effect.flatMap(ask(path), (text) => Effect.orDie(Schema.decode(Schema.parseJson(schema))(text)))
  return {
    cpu: Effect.map(decoded("/usage", Usage), ({ system, user }) => (system + user) / 1000),
    memory: decoded("/memory", Memory),
    profile: (effect) =>
      Effect.gen(function* () {
        yield* ask("/profile/start")
        const result = yield* effect
        return [result, JSON.parse(yield* ask("/profile/stop")) as Profiler.Profile] as const
      }),
  }
}

/** In microseconds. */
const Usage = Schema.Struct({ user: Schema.Number, system: Schema.Number })

const Memory = Schema.Struct({ rss: Schema.Number, heapUsed: Schema.Number, external: Schema.Number })

const get = (socketPath: string, path: string) =>
  Effect.async<string, StartError>((resume) => {
    request({ socketPath, path }, (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.once("end", () => resume(Effect.succeed(Buffer.concat(chunks).toString())))
    })
      .once("error", (cause) =>
        resume(
          new StartError({
            problem: "A node's probe does not answer.",
            remedy: "See the nodes' logs.",
            cause,
          }),
        ),
      )
      .end()
  })
