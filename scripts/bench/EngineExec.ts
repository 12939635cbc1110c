/**
 * The baseline of a command: the engine's own exec, without any of our parts. It runs in a twin of a session's
 * container, made from what the engine says of that one, so that image and limits are the same by construction.
 */
import type Dockerode from "dockerode"
import { Effect } from "effect"
import type { Scope } from "effect"
import { labels } from "../../src/sandbox/Container.ts"
import { StartError } from "../process/StartError.ts"
import { call, type EngineFailure } from "../setup/EngineStream.ts"

/** Starts a twin of the cluster's one sandbox; the effect it gives runs `true` there, to its end. */
export const make = (
  docker: Dockerode,
  clusterId: string,
): Effect.Effect<Effect.Effect<void, StartError>, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    const [original] = yield* call(() =>
      docker.listContainers({ filters: { label: [`${labels.cluster}=${clusterId}`] } }),
    )
    const { Config, HostConfig } = yield* call(() => docker.getContainer(original?.Id ?? "").inspect())
    const twin = yield* Effect.acquireRelease(
      // Without the labels, by which nodes would take it for theirs.
      call(() => docker.createContainer({ ...Config, Labels: {}, HostConfig })),
      (twin) => Effect.ignore(call(() => twin.remove({ force: true, v: true }))),
    )
    yield* call(() => twin.start())
    return twin
  }).pipe(
    Effect.map((twin) => Effect.catchTag(runTrue(twin), "EngineFailure", refused)),
    Effect.catchTag("EngineFailure", refused),
  )

const runTrue = (container: Dockerode.Container) =>
  Effect.gen(function* () {
    const exec = yield* call(() =>
      container.exec({
        Cmd: ["true"],
        AttachStdin: false,
        AttachStdout: true,
        AttachStderr: true,
        Tty: false,
      }),
    )
    const stream = yield* call(() => exec.start({ hijack: true, stdin: false }))
    yield* Effect.async<void>((resume) => {
      stream.once("close", () => resume(Effect.void)).once("end", () => resume(Effect.void))
      stream.resume()
    })
    const { Running, ExitCode } = yield* call(() => exec.inspect()).pipe(
      Effect.repeat({ while: (state) => state.Running }),
    )
    yield* Effect.sync(() => stream.destroy())
    if (Running || ExitCode !== 0) {
      return yield* new StartError({
        problem: `\`true\` ended with ${ExitCode}.`,
        remedy: "Look at the engine.",
      })
    }
  })

const refused = ({ reason }: EngineFailure) =>
  Effect.fail(
    new StartError({ problem: `The engine refused the baseline: ${reason}.`, remedy: "See its log." }),
  )
