/** A folder that is gone when its scope closes, and that every user of this machine may pass through. */
import { Effect } from "effect"
import type { Scope } from "effect"
import { mkdirSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { isAlive } from "../process/Alive.ts"
import * as Project from "../process/Project.ts"

/** Makes a folder, and removes those of processes that were killed before they could. */
export const make: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    mkdirSync(parent, { recursive: true, mode: 0o755 })
    for (const name of readdirSync(parent)) {
      if (!isAlive(Number(name.split("-")[0]))) rmSync(join(parent, name), { recursive: true, force: true })
    }
    const folder = join(parent, `${process.pid}-${Date.now().toString(36)}${made++}`)
    mkdirSync(folder, { mode: 0o755 })
    return folder
  }),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 })),
)

let made = 0

const parent = join(Project.shared, "temporary")
