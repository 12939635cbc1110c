/** The folder of one run: logs and the state of what a script started. It stays for reading until a later run. */
import { Effect } from "effect"
import { mkdirSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { isAlive } from "../process/Alive.ts"
import * as Project from "../process/Project.ts"

/** Makes a folder for this process, and removes those of processes that are gone. */
export const make: Effect.Effect<string> = Effect.sync(() => {
  mkdirSync(parent, { recursive: true })
  for (const name of readdirSync(parent)) {
    const pid = Number(name.split("-")[0])
    if (!isAlive(pid)) rmSync(join(parent, name), { recursive: true, force: true })
  }
  const folder = join(parent, `${process.pid}-${Date.now().toString(36)}${counter++}`)
  mkdirSync(folder, { mode: 0o700 })
  return folder
})

let counter = 0

const parent = join(Project.generated, "run")
