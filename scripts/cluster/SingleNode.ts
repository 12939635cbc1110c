/**
 * A cluster of one node for one program: on ports of its own, behind a token that nobody else knows, ended with the
 * scope. Its data folder, below DATA_DIR, is that of the session's name, or without one the first that no other program
 * uses; a later start takes the folder again, and clears what a crash left.
 */
import { Config, Effect } from "effect"
import type { Scope } from "effect"
import { createHash, randomBytes } from "node:crypto"
import { mkdirSync } from "node:fs"
import { hostname } from "node:os"
import { join, resolve } from "node:path"
import { lastLine } from "../process/Command.ts"
import * as ProcessLock from "../process/ProcessLock.ts"
import * as Project from "../process/Project.ts"
import { step } from "../process/Progress.ts"
import { StartError } from "../process/StartError.ts"
import * as Machine from "../setup/Machine.ts"
import * as ClusterDatabase from "./ClusterDatabase.ts"
import * as LocalNode from "./LocalNode.ts"
import * as NodeSettings from "./NodeSettings.ts"
import * as RunFolder from "./RunFolder.ts"

export interface SingleNode {
  /** Where it serves MCP. */
  readonly url: string
  readonly token: string
  /** Ends when the node has died. */
  readonly ended: Effect.Effect<never, StartError>
}

/** Starts a node, ready to serve when this returns. No system package is installed: nobody is there to agree. */
export const start = (session: string | undefined): Effect.Effect<SingleNode, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    const chosen = yield* Effect.mapError(ClusterDatabase.chosen, NodeSettings.wrong)
    const folder = yield* session === undefined ? anyFolder : folderOf(session)
    const machine = yield* Machine.prepare({ install: false })
    const databaseUrl = yield* ClusterDatabase.acquire(chosen, join(folder, "postgres"))
    const runFolder = yield* RunFolder.make
    const token = randomBytes(32).toString("base64url")
    const id = `stdio-${createHash("sha256").update(`${hostname()} ${folder}`).digest("hex").slice(0, 12)}`
    const log = LocalNode.logOf(runFolder, id)
    yield* step(`Starting a node (log: ${log}) …`)
    const { child, entry } = yield* LocalNode.start({
      id,
      databaseUrl,
      settings: {
        ...machine.environment,
        ...NodeSettings.guardedBy(token),
        SANDBOX_IMAGE: NodeSettings.sandboxImage(machine.sandboxImage),
        // Nobody is left who would have the answers.
        DRAIN_TIMEOUT: "1 milli",
        LEAVE_DELAY: "1 milli",
      },
      runFolder,
    })
    const ended = Effect.flatMap(
      child.exited,
      () => new StartError({ problem: `The node has ended${lastLine(log)}.`, remedy: `Its log is ${log}.` }),
    )
    return { url: `${entry.url}/mcp`, token, ended }
  })

const parent = Config.nonEmptyString("DATA_DIR").pipe(
  Effect.map((folder) => resolve(folder)),
  Effect.orElseSucceed(() => join(Project.data, "stdio")),
)

/** Takes a folder until the scope closes. */
const take = (name: string) =>
  Effect.gen(function* () {
    const folder = join(yield* parent, name)
    yield* Effect.sync(() => mkdirSync(folder, { recursive: true }))
    yield* ProcessLock.acquire(folder)
    return folder
  })

const folderOf = (session: string) =>
  Effect.mapError(
    take(`named-${session}`),
    () =>
      new StartError({
        problem: `Another client on this machine has the session ${session}.`,
        remedy: "End it, or start a cluster with scripts/start, and give its --url to both.",
      }),
  )

const anyFolder = Effect.firstSuccessOf(
  Array.from({ length: 32 }, (_, index) => take(`unnamed-${index + 1}`)),
).pipe(
  Effect.mapError(
    () =>
      new StartError({
        problem: "32 clients on this machine have a node of their own already.",
        remedy: "End some, or start a cluster with scripts/start, and give its --url to all.",
      }),
  ),
)
