/**
 * The file that holds a cluster's state. Readers see the old or the new contents, never a part; writers of
 * several processes take turns. Only its owner may read it: it holds the database's password.
 */
import { Effect, Schema } from "effect"
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { StartError } from "../process/StartError.ts"
import * as ProcessLock from "../process/ProcessLock.ts"
import { ClusterState } from "./ClusterState.ts"

/** The state in a file; fails where there is none that can be read. */
export const read = (file: string): Effect.Effect<ClusterState, StartError> =>
  Effect.try(() => readFileSync(file, "utf8")).pipe(
    Effect.flatMap(Schema.decode(Json)),
    Effect.mapError(
      (cause) =>
        new StartError({
          problem: `${file} is not the state file of a running cluster.`,
          remedy: "Start one with `scripts/start --state FILE`, and name the same file.",
          cause,
        }),
    ),
  )

/** Puts a state into a file, in one step. */
export const write = (file: string, state: ClusterState): Effect.Effect<void, StartError> =>
  Effect.flatMap(Effect.orDie(Schema.encode(Json)(state)), (text) =>
    Effect.try({
      try: () => {
        const fresh = join(dirname(file), `.${basename(file)}.${process.pid}`)
        mkdirSync(dirname(file), { recursive: true })
        writeFileSync(fresh, `${text}\n`, { mode: 0o600 })
        chmodSync(fresh, 0o600)
        renameSync(fresh, file)
      },
      catch: (cause) =>
        new StartError({
          problem: `${file} cannot be written.`,
          remedy: "Name another file with --state.",
          cause,
        }),
    }),
  )

/** Changes the state in a file; updates by several processes at once follow one another. */
export const update = (
  file: string,
  change: (state: ClusterState) => ClusterState,
): Effect.Effect<void, StartError> =>
  ProcessLock.waitFor(file).pipe(
    Effect.zipRight(read(file)),
    Effect.flatMap((state) => write(file, change(state))),
    Effect.scoped,
  )

/** Removes the file of a cluster that has ended. */
export const remove = (file: string): Effect.Effect<void> => Effect.sync(() => rmSync(file, { force: true }))

const Json = Schema.parseJson(ClusterState, { space: 2 })
