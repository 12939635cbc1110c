/** Two nodes: one that clients call, and one that owns their sessions. */
import { Effect } from "effect"
import type { Scope } from "effect"
import { closeSession } from "../../../src/tools/sessions/CloseSession.ts"
import { sessionInfo } from "../../../src/tools/sessions/SessionInfo.ts"
import * as ThrowawayCluster from "../../cluster/ThrowawayCluster.ts"
import { StartError } from "../../process/StartError.ts"
import * as TemporaryFolder from "../../setup/TemporaryFolder.ts"
import * as Idle from "../sandbox/Idle.ts"
import * as LeanClient from "./LeanClient.ts"
import * as Probe from "./Probe.ts"

export interface Site extends ThrowawayCluster.ThrowawayCluster {
  readonly clusterId: string
  readonly databaseUrl: string
  /** The node that clients call. */
  readonly edge: Member
  /** The node that owns the sessions. */
  readonly owner: Member
  /** Opens a connection to the session of this name at a node, the edge unless another is given. */
  readonly join: (
    session: string,
    node?: Member,
  ) => Effect.Effect<LeanClient.LeanClient, StartError, Scope.Scope>
  /** The names of as many new sessions, all of which the owner owns. */
  readonly foreign: (count: number) => Effect.Effect<ReadonlyArray<string>, StartError>
}

interface Member {
  readonly id: string
  readonly url: string
  readonly probe: Probe.Probe
}

export const start = (options: { readonly install: boolean }) =>
  Effect.gen(function* () {
    const folder = yield* TemporaryFolder.make
    const running = yield* ThrowawayCluster.start({
      nodes: 2,
      ...options,
      env: { ...Idle.settings, ...settings, ...Probe.environment(folder) },
    })
    const { clusterId, databaseUrl, nodes } = yield* running.cluster.state
    const member = (index: number): Member => {
      const { id = "", url = "", pid = 0 } = nodes[index] ?? {}
      return { id, url, probe: Probe.make(folder, pid) }
    }
    const [edge, owner] = [member(0), member(1)]
    const join: Site["join"] = (session, { url } = edge) =>
      LeanClient.connect({ url: `${url}/mcp?session=${session}`, token: running.token })
    let opened = 0
    const next = Effect.suspend(() => {
      const name = `bench-${++opened}`
      return Effect.scoped(
        Effect.gen(function* () {
          const client = yield* join(name)
          const info = yield* client.call(sessionInfo.name, {})
          if (info.includes(`"owner_node":"${owner.id}"`)) return name
          yield* client.call(closeSession.name, {})
          return undefined
        }),
      )
    })
    return {
      ...running,
      clusterId,
      databaseUrl,
      edge,
      owner,
      join,
      foreign: (count) =>
        Effect.gen(function* () {
          const names: Array<string> = []
          for (let tried = 0; names.length < count; tried++) {
            if (tried > 20 * count + 30) {
              return yield* new StartError({
                problem: `${edge.id} owns nearly all sessions.`,
                remedy: "See the nodes' logs in .codegen/run: the other holds no shards.",
              })
            }
            const name = yield* next
            if (name !== undefined) names.push(name)
          }
          return names
        }),
    } satisfies Site
  })

/** No sandbox starts while others are measured, and there is room for all. */
const settings = {
  CHECKPOINT: process.env["CHECKPOINT"] ?? "off",
  POOL_MIN: "0",
  POOL_MAX: "0",
  MAX_SANDBOXES: "300",
  MAX_MEMORY: String(2 ** 50),
}
