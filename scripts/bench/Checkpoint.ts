/**
 * What saving and restoring a session's files takes, at the services that do it and in this process, with either store.
 * `checkpoint/` has the measurements.
 */
import { Effect, Layer } from "effect"
import { join } from "node:path"
import * as Database from "../../src/database/Database.ts"
import { SessionRows } from "../../src/session/SessionRows.ts"
import { CheckpointRows } from "../../src/workspace/CheckpointRows.ts"
import { Checkpoints } from "../../src/workspace/Checkpoints.ts"
import * as DirectoryPacks from "../../src/workspace/DirectoryPacks.ts"
import * as PostgresPacks from "../../src/workspace/PostgresPacks.ts"
import { step } from "../process/Progress.ts"
import * as EmbeddedPostgres from "../setup/EmbeddedPostgres.ts"
import * as TemporaryFolder from "../setup/TemporaryFolder.ts"
import type { Bench } from "./Bench.ts"
import { edits } from "./checkpoint/Edits.ts"
import { wholes } from "./checkpoint/Wholes.ts"
import * as Node from "./sandbox/Node.ts"

const MiB = 1024 * 1024

const settings = { SANDBOX_WORKSPACE: String(1024 * MiB), SANDBOX_CPUS: "2" }

export const checkpoint: Bench = {
  name: "checkpoint",
  summary: "what saving a session's files adds to a call, and how fast all of them are saved and restored",
  measure: (options) =>
    Effect.gen(function* () {
      const { on } = yield* Node.prepare(options)
      const folder = yield* TemporaryFolder.make
      const stores = { postgres: PostgresPacks.layer, folder: DirectoryPacks.layer(join(folder, "store")) }
      const results = []
      for (const [name, store] of Object.entries(stores)) {
        const postgres = yield* EmbeddedPostgres.start(join(folder, name))
        const services = Checkpoints.layer.pipe(
          Layer.provideMerge(SessionRows.layer),
          Layer.provideMerge(CheckpointRows.layer),
          Layer.provideMerge(store),
          Layer.provideMerge(Database.layer),
        )
        const onNode = on({ ...settings, DATABASE_URL: postgres.url })
        yield* step(`Measuring edits, kept in ${name === "postgres" ? "Postgres" : "a folder"} …`)
        results.push(...(yield* onNode(Effect.provide(edits(name), services))))
        yield* step("Measuring whole workspaces …")
        results.push(...(yield* onNode(Effect.provide(wholes(name), services))))
      }
      return results
    }),
}
