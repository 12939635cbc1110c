/**
 * The baseline of a command: the engine's own exec, without any of our parts. It runs in a twin of a session's
 * container, made from what the engine says of that one, so that image and limits are the same by construction.
 */
import type Dockerode from "dockerode"
import { Effect } from "effect"
import type { Scope } from "effect"
import { Readable } from "node:stream"
import { labels } from "../../src/sandbox/Specification.ts"
import { StartError } from "../process/StartError.ts"
import { call, type EngineFailure } from "../setup/EngineStream.ts"

/** Starts as many twins of a sandbox of the cluster; the effects it gives run `true` there, to its end. */
export const make = (
  docker: Dockerode,
  clusterId: string,
  count: number,
): Effect.Effect<ReadonlyArray<Effect.Effect<void, StartError>>, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    const [original] = yield* call(() =>
      docker.listContainers({ filters: { label: [`${labels.cluster}=${clusterId}`] } }),
    )
    const spec = yield* describe(docker, original?.Id ?? "")
    return yield* Effect.replicateEffect(startTwin(docker, spec), count)
  }).pipe(
    Effect.map((twins) => twins.map((twin) => Effect.catchTag(runTrue(twin), "EngineFailure", refused))),
    Effect.catchTag("EngineFailure", refused),
  )

/**
 * What a twin of a container is made of, without our parts: the labels, by which nodes would take it for theirs, the
 * agent, and the names that take the image's own environment away.
 */
export const describe = (
  docker: Dockerode,
  container: string,
): Effect.Effect<Dockerode.ContainerCreateOptions, EngineFailure> =>
  Effect.map(
    call(() => docker.getContainer(container).inspect()),
    ({ Config, HostConfig }) => ({
      ...Config,
      Labels: {},
      Env: Config.Env.filter((variable) => variable.includes("=")),
      Entrypoint: ["sleep"],
      Cmd: ["infinity"],
      HostConfig,
    }),
  )

/** Makes a container and starts it; it is removed with the scope. */
export const startTwin = (
  docker: Dockerode,
  options: Dockerode.ContainerCreateOptions,
): Effect.Effect<Dockerode.Container, EngineFailure, Scope.Scope> =>
  Effect.acquireRelease(
    call(() => docker.createContainer(options)),
    (twin) => Effect.ignore(call(() => twin.remove({ force: true, v: true }))),
  ).pipe(Effect.tap((twin) => call(() => twin.start())))

export const runTrue = (container: Dockerode.Container) => run(container, ["true"])

/** Runs a program to its end, with this input; what it writes is read and thrown away. */
export const run = (
  container: Dockerode.Container,
  argv: ReadonlyArray<string>,
  input: ReadonlyArray<Uint8Array> = [],
): Effect.Effect<void, EngineFailure | StartError> =>
  Effect.gen(function* () {
    const stdin = input.length > 0
    const exec = yield* call(() =>
      container.exec({
        Cmd: [...argv],
        AttachStdin: stdin,
        AttachStdout: true,
        AttachStderr: true,
        Tty: false,
      }),
    )
    const stream = yield* call(() => exec.start({ hijack: true, stdin }))
    yield* Effect.async<void>((resume) => {
      stream.once("close", () => resume(Effect.void)).once("end", () => resume(Effect.void))
      stream.resume()
      if (stdin) Readable.from(input).pipe(stream)
    })
    const { Running, ExitCode } = yield* call(() => exec.inspect()).pipe(
      Effect.repeat({ while: (state) => state.Running }),
    )
    yield* Effect.sync(() => stream.destroy())
    if (Running || ExitCode !== 0) {
      return yield* new StartError({
        problem: `\`${argv.join(" ")}\` ended with ${ExitCode}.`,
        remedy: "Look at the engine.",
      })
    }
  })

const refused = ({ reason }: EngineFailure) =>
  Effect.fail(
    new StartError({ problem: `The engine refused the baseline: ${reason}.`, remedy: "See its log." }),
  )
