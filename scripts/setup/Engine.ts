/**
 * The Docker engine of this machine. One that answers is used as it is. Otherwise, as root on Debian or Ubuntu,
 * one is installed and started: an engine that this script started as its child ends with the scope; one that
 * runs already, or that systemd runs, stays.
 */
import Dockerode from "dockerode"
import { Duration, Effect, Option, Schedule } from "effect"
import type { Scope } from "effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import * as Apt from "./Apt.ts"
import * as Child from "../process/Child.ts"
import { lastLine, run } from "../process/Command.ts"
import * as Project from "../process/Project.ts"
import { step } from "../process/Progress.ts"
import { StartError } from "../process/StartError.ts"

export interface Engine {
  readonly docker: Dockerode
  /** What nodes need to find it; empty where it is in the usual place. */
  readonly environment: { readonly DOCKER_HOST?: string }
  /** The processor that its containers run on. */
  readonly architecture: "x64" | "arm64"
}

export interface EngineOptions {
  /** Whether system packages may be installed. */
  readonly install: boolean
  /** DOCKER_HOST as the user set it. */
  readonly dockerHost: Option.Option<string>
}

/** Finds an engine, or starts one. */
export const acquire = (options: EngineOptions): Effect.Effect<Engine, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    const found = yield* find(options)
    const engine = found ?? (yield* startOne(options))
    return yield* withArchitecture(engine)
  })

type Address = Omit<Engine, "architecture">

const find = ({ dockerHost }: EngineOptions) =>
  Effect.gen(function* () {
    if (Option.isSome(dockerHost)) {
      const docker = new Dockerode()
      const problem = yield* ping(docker)
      if (problem === undefined) return { docker, environment: {} }
      return yield* new StartError({
        problem: `No Docker engine answers at DOCKER_HOST=${dockerHost.value} (${problem}).`,
        remedy: "Start it, or unset DOCKER_HOST.",
      })
    }
    for (const socket of sockets) {
      const docker = new Dockerode({ socketPath: socket })
      const problem = yield* ping(docker)
      if (problem === undefined) {
        const environment = socket === usualSocket ? {} : { DOCKER_HOST: `unix://${socket}` }
        return { docker, environment }
      }
      if (problem === "EACCES") {
        return yield* new StartError({
          problem: `This user may not use the Docker engine at ${socket}.`,
          remedy: "Run `sudo usermod -aG docker $USER` and log in again, or run this script with sudo.",
        })
      }
    }
    return undefined
  })

const startOne = ({ install }: EngineOptions): Effect.Effect<Address, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    if (process.platform !== "linux" || !Project.isRoot) {
      return yield* new StartError({
        problem: "No Docker engine answers.",
        remedy:
          "Start Docker on this machine, set DOCKER_HOST, or run this script as root, which installs one.",
      })
    }
    if (dockerd() === undefined)
      yield* Apt.install(["docker.io"], { allowed: install, because: "no Docker engine is installed" })
    const docker = new Dockerode({ socketPath: usualSocket })
    if (yield* isUp(docker)) return { docker, environment: {} }
    yield* existsSync("/run/systemd/system") ? startUnit : startDaemon
    yield* answering(docker, daemonLog)
    return { docker, environment: {} }
  })

const daemonLog = Project.log("dockerd")

const startUnit = Effect.zipRight(
  step("Starting the installed Docker engine (systemctl start docker); it stays when this script ends …"),
  run({
    command: "systemctl",
    args: ["start", "docker"],
    log: daemonLog,
    remedy: "See `journalctl -u docker`.",
  }),
)

const startDaemon = Effect.gen(function* () {
  const command = dockerd()
  if (command === undefined) {
    return yield* new StartError({ problem: "dockerd is not installed.", remedy: "Install docker.io." })
  }
  yield* step(`Starting a Docker engine; it ends with this script (log: ${daemonLog}) …`)
  const child = yield* Child.start({ command, args: [], output: daemonLog, stopWithin: "30 seconds" })
  yield* child.exited.pipe(
    Effect.flatMap(() => step(`The Docker engine has ended${lastLine(daemonLog)}`)),
    Effect.forkScoped,
  )
})

/** Waits until an engine that was just started answers; `log` is what it writes. */
export const answering = (docker: Dockerode, log: string) =>
  ping(docker).pipe(
    Effect.repeat({ until: (problem) => problem === undefined, schedule: Schedule.spaced("250 millis") }),
    Effect.asVoid,
    Effect.timeoutFail({
      duration: Duration.seconds(60),
      onTimeout: () =>
        new StartError({
          problem: `The Docker engine does not answer${lastLine(log)}.`,
          remedy: `See ${log}; inside a container, Docker needs an engine from outside (mount its socket).`,
        }),
    }),
  )

/** An engine that answers, with what it runs on. */
export const withArchitecture = (address: Address): Effect.Effect<Engine, StartError> =>
  Effect.map(architectureOf(address.docker), (architecture) => ({ ...address, architecture }))

const architectureOf = (docker: Dockerode) =>
  Effect.tryPromise(() => docker.info() as Promise<{ Architecture: string }>).pipe(
    Effect.flatMap(({ Architecture }) =>
      Architecture === "x86_64"
        ? Effect.succeed("x64" as const)
        : Architecture === "aarch64"
          ? Effect.succeed("arm64" as const)
          : new StartError({
              problem: `The engine's processor is ${Architecture}.`,
              remedy: "Use x86_64 or aarch64.",
            }),
    ),
    Effect.catchTag("UnknownException", (cause) =>
      Effect.fail(
        new StartError({
          problem: "The Docker engine does not say what it is.",
          remedy: "Restart it.",
          cause,
        }),
      ),
    ),
  )

const isUp = (docker: Dockerode) => Effect.map(ping(docker), (problem) => problem === undefined)

/** The error code of an engine that does not answer. */
const ping = (docker: Dockerode): Effect.Effect<string | undefined> =>
  Effect.tryPromise({
    try: () => docker.ping(),
    catch: (cause) => (cause as NodeJS.ErrnoException).code ?? String(cause),
  }).pipe(
    Effect.timeoutFail({ duration: "10 seconds", onTimeout: () => "no answer within 10 s" }),
    Effect.match({ onFailure: (problem) => problem, onSuccess: () => undefined }),
  )

const dockerd = () =>
  ["/usr/bin/dockerd", "/usr/sbin/dockerd", "/usr/local/bin/dockerd"].find((path) => existsSync(path))

const usualSocket = "/var/run/docker.sock"

const environment = (name: string) => process.env[name] ?? "/nonexistent"

const sockets = [
  usualSocket,
  join(environment("XDG_RUNTIME_DIR"), "docker.sock"),
  join(environment("HOME"), ".docker/run/docker.sock"),
]
