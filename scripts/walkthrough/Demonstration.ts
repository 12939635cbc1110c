/** The demo: a cluster of three nodes, an agent that brings projects from red to green, and how long it took. */
import { Effect } from "effect"
import type { Scope } from "effect"
import { sessionInfo } from "../../src/tools/sessions/SessionInfo.ts"
import type { StartError } from "../process/StartError.ts"
import { step } from "../process/Progress.ts"
import * as Agent from "./Agent.ts"
import * as Day from "./Day.ts"
import * as McpClient from "./McpClient.ts"
import * as Narration from "./Narration.ts"
import { nodeProject } from "./NodeProject.ts"
import { pythonProject } from "./PythonProject.ts"
import * as ThrowawayCluster from "../cluster/ThrowawayCluster.ts"

/** Shows it; fails unless the projects were red and are green. */
export const demonstrate = (options: {
  readonly install: boolean
}): Effect.Effect<void, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    const nodeStartedAt = Math.round(Date.now() - process.uptime() * 1000)
    // The launcher's own time; where `date` has no milliseconds, it is not a number.
    const startedAt = Number(process.env["DEMO_STARTED"] ?? "") || nodeStartedAt
    const allowed = process.env["TUNNEL_ALLOW_CIDRS"]
    const { cluster, token, imageBuilt, setUpAt } = yield* ThrowawayCluster.start({
      nodes: 3,
      ...options,
      ...(allowed === undefined ? {} : { env: { TUNNEL_ALLOW_CIDRS: allowed } }),
    })
    const readyAt = Date.now()
    const narration = Narration.make()

    yield* narration.title(
      `An agent connects to ${cluster.mcpUrl}, which gives each request to the next node`,
    )
    const connect = (url: string) => McpClient.connect({ url, token, onAnswer: narration.answered })
    const { greenAt, owner } = yield* Effect.gen(function* () {
      const client = yield* connect(cluster.mcpUrl)
      const tools = yield* client.tools
      yield* narration.output(tools.map(({ name }) => name).join(", "))
      const session = yield* client.call(sessionInfo, {})
      yield* narration.remark(
        `${session.owner_node} owns the session ${session.session_id}; ${session.edge_node} took this request.`,
      )
      yield* Agent.correct(client, narration, pythonProject)
      const greenAt = Date.now()
      yield* Agent.correct(client, narration, nodeProject)
      const after = yield* client.call(sessionInfo, {})
      yield* narration.title("The agent leaves, which ends the session")
      return { greenAt, owner: after.owner_node }
    }).pipe(Effect.scoped)
    yield* Day.spend(connect(`${cluster.mcpUrl}?session=day`), narration)

    const counts = [...narration.counts()].sort().map(([node, requests]) => `${node} ${requests}`)
    yield* narration.title(
      `All projects were red and are green. Requests by node: ${counts.join(", ")}; the session's owner was ${owner}.`,
    )
    yield* narration.title(
      [
        `From the start to the first green pytest: ${seconds(greenAt - startedAt)}`,
        `  set-up         ${seconds(setUpAt - startedAt)}  dependencies and build ${seconds(nodeStartedAt - startedAt).trim()}, engine, image, Postgres`,
        `  cluster start  ${seconds(readyAt - setUpAt)}  three nodes and the balancer, ready`,
        `  agent          ${seconds(greenAt - readyAt)}  connection, sandbox, files, pytest twice`,
        imageBuilt
          ? "The sandbox image was built in this run."
          : "The sandbox image existed before this run.",
      ].join("\n"),
    )
    yield* step("Stopping …")
  })

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`.padStart(8)
