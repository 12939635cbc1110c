/** Packages of Debian and Ubuntu that the set-up cannot do without. */
import { Effect } from "effect"
import { existsSync } from "node:fs"
import { run } from "../process/Command.ts"
import * as Project from "../process/Project.ts"
import { step } from "../process/Progress.ts"
import { StartError } from "../process/StartError.ts"

export interface InstallOptions {
  /** Whether packages may be installed at all. */
  readonly allowed: boolean
  /** Why they are needed; a part of a sentence. */
  readonly because: string
}

/** Installs packages with apt-get, after saying so; refuses with the command to run where it may not. */
export const install = (
  packages: ReadonlyArray<string>,
  { allowed, because }: InstallOptions,
): Effect.Effect<void, StartError> =>
  Effect.gen(function* () {
    const names = packages.join(" ")
    const problem = `${because.charAt(0).toUpperCase()}${because.slice(1)}.`
    if (!existsSync("/usr/bin/apt-get")) {
      return yield* new StartError({
        problem,
        remedy: `Install ${names} by this system's own means, then run this again.`,
      })
    }
    if (!allowed || !Project.isRoot) {
      return yield* new StartError({
        problem: allowed
          ? `${problem.slice(0, -1)}, and only root can install it.`
          : `${problem.slice(0, -1)}, and --no-install forbids installing it.`,
        remedy: `Run \`sudo apt-get install ${names}\`, then run this again.`,
      })
    }
    yield* step(`Installing ${names} (apt-get), because ${because} …`)
    const remedy = "Check that this machine reaches its package mirror."
    yield* aptGet(["update"], remedy).pipe(
      Effect.catchAll((error) =>
        step(`apt-get update failed; going on with the package lists there are. ${error.remedy}`),
      ),
    )
    yield* aptGet(["install", "--yes", "--no-install-recommends", ...packages], remedy)
  })

const aptGet = (args: ReadonlyArray<string>, remedy: string) =>
  run({
    command: "apt-get",
    args: ["-q", ...args],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    log: Project.log("apt-get"),
    remedy,
  })
