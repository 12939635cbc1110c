/** Servers that stand in for nodes behind a balancer. */
import { Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { ClusterState } from "../../scripts/cluster/ClusterState.ts"

/** A server with one handler; gives its url. Gone, with all connections, when the scope closes. */
export const upstream = (handler: (request: IncomingMessage, response: ServerResponse) => void) =>
  Effect.acquireRelease(
    Effect.async<ReturnType<typeof createServer>>((resume) => {
      const server = createServer(handler)
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      }),
  ).pipe(Effect.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`))

/** A path for a state file, in a folder that is gone when the scope closes. */
export const stateFile = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "codegen-mcp-state-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true })),
).pipe(Effect.map((folder) => join(folder, "state.json")))

/** The state of a cluster whose nodes serve at these urls. */
export const cluster = (urls: ReadonlyArray<string>): ClusterState => ({
  mcpUrl: "http://127.0.0.1:1/mcp",
  balancer: { url: "http://127.0.0.1:1", pid: 1 },
  clusterId: "c",
  token: null,
  databaseUrl: "postgres://localhost/none",
  nodes: urls.map((url, i) => ({ id: `node-${i + 1}`, incarnation: "i", url, pid: 1 })),
  settings: {},
})
