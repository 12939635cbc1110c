/**
 * The MCP Inspector's command line. It brings 121 packages and asks for Node 22, some 280 MB together, and so is no
 * dependency of the project: it is fetched once, into `.codegen`, as the lock file beside this says.
 */
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync } from "node:fs"
import { join } from "node:path"
import * as Command from "../../scripts/process/Command.ts"
import * as ProcessLock from "../../scripts/process/ProcessLock.ts"
import * as Project from "../../scripts/process/Project.ts"

const source = join(Project.root, "test/support/inspector")
const lock = createHash("sha256")
  .update(readFileSync(join(source, "package-lock.json")))
  .digest("hex")
const folder = join(Project.generated, `inspector-${lock.slice(0, 12)}`)

/** Why it cannot be had on this machine; undefined once it is there. */
export const missing: Effect.Effect<string | undefined> = Effect.gen(function* () {
  yield* ProcessLock.waitFor(folder)
  if (existsSync(folder)) return undefined
  const fresh = `${folder}.${process.pid}`
  yield* Effect.sync(() => {
    mkdirSync(fresh, { recursive: true })
    cpSync(source, fresh, { recursive: true })
  })
  yield* Command.run({
    command: "npm",
    args: ["ci", "--ignore-scripts", "--no-audit", "--no-fund"],
    cwd: fresh,
    env: process.env,
    log: Project.log("inspector"),
    remedy: "Check that this machine reaches its npm registry.",
  })
  yield* Effect.sync(() => renameSync(fresh, folder))
  return undefined
}).pipe(
  Effect.scoped,
  Effect.catchAll((error) => Effect.succeed(error.message)),
)

/** Runs a method, as the README says, and gives its result. */
export const run = (url: string, ...args: ReadonlyArray<string>) =>
  Effect.async<any>((resume) => {
    const modules = join(folder, "node_modules")
    const node = join(modules, `node-linux-${process.arch}`, "bin/node")
    const inspector = join(modules, "@modelcontextprotocol/inspector/clients/launcher/build/index.js")
    const words = ["--cli", url, "--transport", "http", "--format", "json", "-q", ...args]
    const child = execFile(node, [inspector, ...words], { timeout: 60_000 }, (error, stdout, stderr) =>
      resume(
        error === null ? Effect.sync(() => JSON.parse(stdout).result) : Effect.dieMessage(stderr + stdout),
      ),
    )
    return Effect.sync(() => void child.kill("SIGKILL"))
  })
