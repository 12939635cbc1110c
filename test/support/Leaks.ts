/**
 * What a cluster has beyond what its live sessions need: containers, volumes, rows, and files of its nodes and its store.
 * Disks and processes are the matter of `Traces.ts`.
 */
import { Effect } from "effect"
import { existsSync, readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { isAlive } from "../../scripts/process/Alive.ts"
import { readiness, type TestCluster } from "./TestCluster.ts"
import * as Traces from "./Traces.ts"

interface Leaks {
  /** That no session of a live node is bound to and that are not in a pool, or whose node is dead. */
  readonly containers: ReadonlyArray<string>
  readonly volumes: ReadonlyArray<string>
  /** Operations that run nowhere. */
  readonly running: ReadonlyArray<string>
  /** In the folders of the nodes, of their disks, and of the store. */
  readonly files: ReadonlyArray<string>
}

/** Waits until the cluster has what its live sessions need and nothing else. To be asked once all calls have ended. */
export const none = (cluster: TestCluster["Type"]) =>
  Traces.comesTo<Leaks>(leaksOf(cluster), { containers: [], volumes: [], running: [], files: [] })

const leaksOf = (cluster: TestCluster["Type"]) =>
  Effect.gen(function* () {
    const { nodes, settings } = yield* cluster.state
    const alive = nodes.filter(({ pid }) => isAlive(pid))
    const incarnations = alive.map(({ incarnation }) => incarnation)
    const sessions = yield* cluster.sql<{ id: string; container: string | null }>`
      SELECT id, container FROM session WHERE closed_at IS NULL AND incarnation = ANY(${incarnations})`
    const live = new Set(sessions.map(({ id }) => id))
    const bound = new Set(sessions.map(({ container }) => container))
    const containers = yield* cluster.containers
    const pools = yield* Effect.forEach(alive, ({ url }) => readiness(url))
    const pooled = pools
      .flatMap(({ pools }) => Object.values(pools))
      .reduce((sum, { ready }) => sum + ready, 0)
    const unbound = containers.filter(({ id }) => !bound.has(id))
    const ofDead = unbound.filter(({ incarnation }) => !incarnations.includes(incarnation))
    const running = yield* cluster.sql<{ id: string; session: string }>`
      SELECT id, session_id AS session FROM operation WHERE state = 'running'`
    const { DISK_DIR: disks, WORKSPACE_STORE: store } = settings
    const leaks: Leaks = {
      containers: (unbound.length > pooled ? unbound : ofDead).map(({ id }) => id),
      volumes: yield* cluster.strayVolumes,
      running: running.filter(({ session }) => !live.has(session)).map(({ id }) => id),
      files: [
        ...alive.flatMap(({ id }) => filesOf(join(cluster.runFolder, id))),
        ...(disks === undefined ? [] : filesOf(disks)),
        ...(store === undefined || store === "postgres" ? [] : yield* strangers(cluster, store)),
      ],
    }
    return leaks
  }).pipe(Effect.orDie)

/** Files of the store that are no pack of which there is a row. */
const strangers = (cluster: TestCluster["Type"], store: string) =>
  Effect.map(cluster.sql<{ id: string }>`SELECT id FROM pack`, (packs) => {
    const known = new Set(["codegen-mcp-store", ...packs.map(({ id }) => join(id.slice(-2), id))])
    return filesOf(store).filter((file) => !known.has(file.slice(store.length + 1)))
  })

/** Of the folder and of those below it. */
const filesOf = (folder: string): ReadonlyArray<string> =>
  existsSync(folder)
    ? readdirSync(folder, { encoding: "utf8", recursive: true })
        .map((name) => join(folder, name))
        .filter((path) => existsSync(path) && statSync(path).isFile())
    : []
