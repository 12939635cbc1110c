/**
 * What the nodes of one cluster have on this machine: containers, volumes, loop devices, disk images, processes.
 * Others may use the same engine meanwhile; what is theirs does not count.
 */
import { assert } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Readable } from "node:stream"
import { isDeepStrictEqual } from "node:util"
import { Docker } from "../../src/sandbox/Docker.ts"
import { labels } from "../../src/sandbox/Specification.ts"
import * as StrayVolumes from "./StrayVolumes.ts"
import type { TestCluster } from "./TestCluster.ts"
import { until } from "./Until.ts"

/** Whether this process is root beside its engine, with loop devices. */
export const able =
  process.getuid?.() === 0 &&
  existsSync("/dev/loop-control") &&
  (process.env["DOCKER_HOST"] ?? "unix:").startsWith("unix:")

export interface Traces {
  readonly containers: ReadonlyArray<string>
  /** Those of disks, which nobody names: in use by the cluster's containers, or by none. */
  readonly volumes: ReadonlyArray<string>
  readonly devices: ReadonlyArray<string>
  readonly images: ReadonlyArray<string>
  /** Of the nodes and what they started, of the containers, and of the engine for these. */
  readonly processes: ReadonlyArray<string>
}

export const nothing: Traces = { containers: [], volumes: [], devices: [], images: [], processes: [] }

const Event = Schema.parseJson(
  Schema.Struct({
    Actor: Schema.Struct({
      ID: Schema.String,
      Attributes: Schema.Record({ key: Schema.String, value: Schema.String }),
    }),
  }),
)

/** A folder for the disks of one cluster, its DISK_DIR, and the way to look at what that has from now on. */
export const machine = Effect.gen(function* () {
  const disks = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "codegen-mcp-traces-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true })),
  )
  return { disks, traces: yield* watch(disks) }
})

/** Waits until it is so, for twice the usual time, and says what differs where it never is. */
export const comesTo = <A>(look: Effect.Effect<A>, expected: A) => {
  const wait = until(look, (now) => isDeepStrictEqual(now, expected))
  return wait.pipe(
    Effect.catchAllDefect(() => wait),
    Effect.catchAllDefect(() => look),
    Effect.map((now) => assert.deepStrictEqual(now, expected)),
  )
}

const watch = Effect.fnUntraced(function* (disks: string) {
  const docker = yield* Effect.map(Layer.build(Docker.layer), Context.get(Docker))
  const { use } = docker
  /** Every container that any cluster made since, and its cluster. */
  const made = new Map<string, string | undefined>()
  const events = yield* Effect.acquireRelease(
    use("list", (docker) =>
      docker.getEvents({
        filters: { type: ["container"], event: ["create"], label: [labels.cluster] },
      }),
    ),
    (stream) => Effect.sync(() => (stream as Readable).destroy()),
  )
  let rest = ""
  events.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) {
      const { Actor } = Schema.decodeSync(Event)(line)
      made.set(Actor.ID, Actor.Attributes[labels.cluster])
    }
  })
  const stray = yield* StrayVolumes.sinceNow(docker)

  return (cluster: TestCluster["Type"]) =>
    Effect.gen(function* () {
      const { clusterId, nodes } = yield* cluster.state
      const found = yield* use("list", (docker) =>
        docker.listContainers({ all: true, filters: { label: [`${labels.cluster}=${clusterId}`] } }),
      )
      const volumes = found.flatMap(({ Mounts }) =>
        Mounts.flatMap(({ Type, Name, RW }) => (Type === "volume" && RW && Name !== undefined ? [Name] : [])),
      )
      const ids = [...made].flatMap(([id, of]) => (of === clusterId ? [id] : []))
      const traces: Traces = {
        containers: found.map(({ Id }) => Id).sort(),
        volumes: [...volumes, ...(yield* stray)].sort(),
        devices: devicesOf(disks),
        images: existsSync(disks) ? readdirSync(disks).sort() : [],
        processes: processesOf(
          ids,
          nodes.map(({ pid }) => pid),
        ),
      }
      return traces
    }).pipe(Effect.orDie)
})

/** A device stays known by its image's path when that is unlinked. */
const devicesOf = (folder: string) =>
  execFileSync("losetup", ["--list", "--noheadings", "--output", "NAME,BACK-FILE"], { encoding: "utf8" })
    .split("\n")
    .filter((line) => line.includes(folder))
    .sort()

/** All processes of these containers and process groups; an engine's name their container in their arguments. */
const processesOf = (containers: ReadonlyArray<string>, groups: ReadonlyArray<number>) =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const read = (file: string) => {
        try {
          return readFileSync(`/proc/${pid}/${file}`, "utf8")
        } catch {
          return ""
        }
      }
      const [, name = "", group = ""] = /^\d+ \((.*)\) \S \d+ (\d+) /s.exec(read("stat")) ?? []
      const text = `${read("cmdline")} ${read("cgroup")}`
      return groups.includes(Number(group)) || containers.some((id) => text.includes(id))
        ? [`${name} ${pid}`]
        : []
    })
    .sort()
