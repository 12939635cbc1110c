/** `scripts/start`: all that a cluster on this machine needs, until Ctrl-C. */
import { Config, Effect } from "effect"
import type { Scope } from "effect"
import { randomBytes } from "node:crypto"
import { join } from "node:path"
import { settings } from "../../src/Settings.ts"
import * as Port from "../process/Port.ts"
import { isLoopback } from "../../src/domain/Loopback.ts"
import * as Project from "../process/Project.ts"
import { step } from "../process/Progress.ts"
import type { StartError } from "../process/StartError.ts"
import * as Images from "../setup/Images.ts"
import * as Machine from "../setup/Machine.ts"
import * as ClusterDatabase from "./ClusterDatabase.ts"
import * as LocalCluster from "./LocalCluster.ts"
import { followLogs } from "./NodeLogs.ts"
import * as NodeSettings from "./NodeSettings.ts"
import * as RunFolder from "./RunFolder.ts"
import type { StartOptions } from "./StartOptions.ts"

/** Starts a cluster and serves until it is interrupted, or the balancer ends. */
export const startCluster = (
  options: Extract<StartOptions, { _tag: "Start" }>,
): Effect.Effect<never, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    const { host, port, databaseUrl, apiTokens } = yield* configured
    const listenPort = options.port ?? port
    yield* Port.check(host, listenPort)
    const machine = yield* Machine.prepare(options)
    // Nodes that run without these scripts look for them by these names.
    yield* Images.named(machine.engine, machine.sandboxImage, "sandbox")
    yield* Images.named(machine.engine, machine.agentImage, "agent")
    const url = yield* ClusterDatabase.acquire(databaseUrl, join(Project.data, "postgres"))
    const runFolder = yield* RunFolder.make
    const token = isLoopback(host) || apiTokens.length > 0 ? undefined : randomBytes(32).toString("base64url")
    if (options.verbose) yield* followLogs(runFolder, options.nodes)
    yield* step(
      `Starting ${options.nodes === 1 ? "a node" : `${options.nodes} nodes`} (logs: ${runFolder}) …`,
    )
    const cluster = yield* LocalCluster.start({
      nodes: options.nodes,
      databaseUrl: url,
      sandboxImage: NodeSettings.sandboxImage(machine.sandboxImage),
      env: { ...NodeSettings.shared(), ...machine.environment },
      host,
      port: listenPort,
      runFolder,
      announce: true,
      ...(options.stateFile === undefined ? {} : { stateFile: options.stateFile }),
      ...(token === undefined ? {} : { token }),
    })
    // Whose tokens they are, nobody here knows: their hashes were given.
    const shown = token ?? (apiTokens.length > 0 ? "TOKEN" : undefined)
    yield* Effect.sync(() => process.stdout.write(greeting(cluster, shown)))
    yield* Effect.addFinalizer(() => step("Stopping …"))
    return yield* cluster.balancerEnded
  })

const configured = Config.all({
  host: settings.httpHost.config,
  port: settings.httpPort.config,
  databaseUrl: ClusterDatabase.chosen,
  apiTokens: settings.apiTokens.config,
}).pipe(Effect.mapError(NodeSettings.wrong))

const greeting = ({ mcpUrl, stateFile }: LocalCluster.LocalCluster, token: string | undefined) => {
  const headers = token === undefined ? {} : { headers: { Authorization: `Bearer ${token}` } }
  const client = { mcpServers: { codegen: { type: "http", url: mcpUrl, ...headers } } }
  const option = token === undefined ? "" : ` --header "Authorization: Bearer ${token}"`
  return `
CodeGen MCP serves ${mcpUrl}

A client's configuration:
${JSON.stringify(client, null, 2)}

For Claude Code:
  claude mcp add --transport http codegen ${mcpUrl}${option}

One more node: scripts/start --join ${stateFile}
Ctrl-C stops everything.
`
}
