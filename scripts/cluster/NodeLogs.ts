/** The logs of nodes on the terminal, for `--verbose`. */
import { Effect } from "effect"
import type { Scope } from "effect"
import { writeFileSync } from "node:fs"
import * as Child from "../process/Child.ts"
import type { StartError } from "../process/StartError.ts"
import * as LocalNode from "./LocalNode.ts"

/** Shows what the nodes node-1 to node-N log, until the scope closes. */
export const followLogs = (runFolder: string, nodes: number): Effect.Effect<void, StartError, Scope.Scope> =>
  followFiles(Array.from({ length: nodes }, (_, i) => LocalNode.logOf(runFolder, `node-${i + 1}`)))

/** Shows what is added to files, until the scope closes. */
export const followFiles = (files: ReadonlyArray<string>): Effect.Effect<void, StartError, Scope.Scope> =>
  Effect.zipRight(
    Effect.sync(() => files.forEach((file) => writeFileSync(file, "", { flag: "a", mode: 0o600 }))),
    Child.start({ command: "tail", args: ["-q", "-n", "+1", "-F", ...files], output: "terminal" }),
  )
