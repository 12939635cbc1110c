/**
 * A current Docker engine with gVisor, beside the machine's own: that of the next Debian release, in a system of its
 * own, whose packages are kept in `.codegen/engine` from run to run. It belongs to the scope: its processes end with
 * their namespace, also when this script is killed outright, and its mounts with them; its data stand in a folder
 * that goes with the scope. It reaches no network, so images come from another engine.
 */
import Dockerode from "dockerode"
import { Effect, Schedule } from "effect"
import type { Scope } from "effect"
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { isAlive } from "../process/Alive.ts"
import * as Child from "../process/Child.ts"
import { lastLine } from "../process/Command.ts"
import { step } from "../process/Progress.ts"
import * as ProcessLock from "../process/ProcessLock.ts"
import * as Project from "../process/Project.ts"
import { StartError } from "../process/StartError.ts"
import * as Debian from "./Debian.ts"
import * as Engine from "./Engine.ts"

export interface CurrentEngineOptions {
  /** Whether system packages may be installed. */
  readonly install: boolean
  /** An empty folder, with a short path, that is there for longer than the engine. */
  readonly folder: string
}

export interface CurrentEngine extends Engine.Engine {
  /** Such as `Docker 26.1.5`. */
  readonly version: string
  /** Ends the daemon, and all containers with it, and starts it again; waits until it answers. */
  readonly restart: Effect.Effect<void, StartError>
}

/** Starts the engine. */
export const start = ({
  install,
  folder,
}: CurrentEngineOptions): Effect.Effect<CurrentEngine, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    if (process.platform !== "linux" || !Project.isRoot) {
      return yield* new StartError({
        problem: "A second engine needs Linux, and root for its mounts.",
        remedy: "Run `sudo npm run test:engines` on Debian or Ubuntu.",
      })
    }
    const root = yield* system({ install })
    const [data, sockets] = [join(folder, "data"), join(folder, "sockets")]
    yield* Effect.sync(() => {
      for (const path of [data, sockets]) mkdirSync(path, { recursive: true, mode: 0o700 })
    })
    yield* step(`Starting it (log: ${log}) …`)
    yield* Effect.sync(() => rmSync(log, { force: true }))
    const group = `codegen-mcp-engine-${process.pid}`
    yield* Effect.addFinalizer(() => Effect.ignore(Effect.try(() => removeGroups(group))))
    const child = yield* Child.start({
      command: "unshare",
      args: [...namespaces, "bash", program, root, data, sockets, group],
      output: log,
      // It would not pass another signal on; this one ends all of its namespace.
      stopSignal: "SIGKILL",
    })
    const first = yield* firstProcess(child)
    yield* Effect.addFinalizer(() => end(child, first))
    const address = `unix://${join(sockets, "docker.sock")}`
    const docker = new Dockerode({ socketPath: join(sockets, "docker.sock") })
    yield* Effect.raceFirst(Engine.answering(docker, log), Effect.zipRight(child.exited, failed))
    const engine = yield* Engine.withArchitecture({ docker, environment: { DOCKER_HOST: address } })
    const { Version } = yield* Effect.orDie(Effect.tryPromise(() => docker.version()))
    const answers = Engine.answering(docker, log)
    const restart = Effect.gen(function* () {
      yield* Effect.sync(() => process.kill(first, "SIGHUP"))
      yield* Effect.isSuccess(Effect.tryPromise(() => docker.ping())).pipe(
        Effect.repeat({ while: (alive) => alive, schedule: Schedule.spaced("50 millis") }),
      )
      yield* answers
    })
    return { ...engine, version: `Docker ${Version.split("+")[0]}`, restart }
  })

/** The folder of a system that has the engine; made once, and again when what it is made of changes. */
const system = ({ install }: { readonly install: boolean }) =>
  Effect.gen(function* () {
    const folder = join(Project.generated, "engine")
    const root = join(folder, `${release}-${process.arch}`)
    yield* Effect.sync(() => mkdirSync(folder, { recursive: true }))
    yield* ProcessLock.acquire(root).pipe(
      Effect.mapError(
        () =>
          new StartError({
            problem: "Another run of this clone uses the current engine already.",
            remedy: "Wait until it has ended.",
          }),
      ),
    )
    if (existsSync(root)) return root
    const half = `${root}.half`
    yield* Effect.sync(() => rmSync(half, { recursive: true, force: true }))
    yield* step(`Making a Debian ${release} with a current Docker engine and gVisor, once (in ${root}) …`)
    yield* Debian.make(
      {
        release,
        architecture: process.arch === "arm64" ? "arm64" : "x64",
        target: half,
        packages: ["docker.io", "containerd", "runc", "runsc", "iptables", "ca-certificates"],
        without: ["doc", "man", "info", "locale"].map((name) => `/usr/share/${name}/*`),
      },
      { install, because: "a current engine runs in a Debian of its own, which mmdebstrap makes" },
    )
    yield* Effect.sync(() => renameSync(half, root))
    return root
  })

const release = "trixie"

const log = Project.log("current-engine")

const program = join(Project.root, "scripts/setup/current-engine.sh")

const namespaces = ["--mount", "--net", "--ipc", "--uts", "--pid", "--fork", "--kill-child"]

const failed = Effect.suspend(
  () =>
    new StartError({
      problem: `The current engine did not start${lastLine(log)}.`,
      remedy: `Run this where a process may make namespaces and mounts, and not in a container. The log is ${log}.`,
    }),
)

/** Removes a control group under every controller, which the engine leaves behind. */
const removeGroups = (name: string) => {
  const folders = (path: string): ReadonlyArray<string> =>
    existsSync(path)
      ? readdirSync(path, { withFileTypes: true })
          .filter((entry) => entry.isDirectory())
          .map((entry) => join(path, entry.name))
      : []
  const remove = (path: string) => {
    folders(path).forEach(remove)
    rmdirSync(path)
  }
  for (const path of [groups, ...folders(groups)].map((parent) => join(parent, name))) {
    if (existsSync(path)) remove(path)
  }
}

const groups = "/sys/fs/cgroup"

/** The pid, seen from here, of process 1 of the namespace. */
const firstProcess = (child: Child.Child): Effect.Effect<number, StartError> =>
  Effect.gen(function* () {
    const file = `/proc/${child.pid}/task/${child.pid}/children`
    const children = yield* Effect.sync(() => (existsSync(file) ? readFileSync(file, "utf8").trim() : ""))
    if (children !== "") return Number(children.split(" ")[0])
    if (!(yield* child.running)) return yield* failed
    return yield* Effect.delay(firstProcess(child), "20 millis")
  })

/** Asks the daemon to end, which removes what it made in the kernel; what does not end is killed. */
const end = ({ exited, stop }: Child.Child, first: number) =>
  Effect.gen(function* () {
    yield* Effect.sync(() => isAlive(first) && process.kill(first, "SIGTERM"))
    yield* Effect.timeoutOption(exited, "20 seconds")
    yield* stop
    yield* Effect.sync(() => isAlive(first)).pipe(
      Effect.repeat({ while: (alive) => alive, schedule: Schedule.spaced("50 millis") }),
    )
  })
