/** The points at which a node of `main.ts` can be told to kill itself, and how it is told. */
import { Effect } from "effect"
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"

export type Point =
  | "after the running row"
  | "after the spawn"
  | "after the blobs"
  | "before the commit"
  | "after the commit"
  | "before the answer"

const fileOf = (dataDir: string) => join(dataDir, "crash-point")

/** Has the node with this data folder die when it comes to a point next. */
export const arm = (dataDir: string, point: Point) =>
  Effect.sync(() => {
    mkdirSync(dataDir, { recursive: true })
    writeFileSync(fileOf(dataDir), point)
  })

/** Ends this process as `kill -9` does, where that is what it was told; once. */
export const reached = (dataDir: string, point: Point) =>
  Effect.sync(() => {
    const file = fileOf(dataDir)
    if (!existsSync(file) || readFileSync(file, "utf8") !== point) return
    rmSync(file)
    process.kill(process.pid, "SIGKILL")
  })
