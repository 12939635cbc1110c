/** The program `promptarena`, built once from the Go module proxy at the version that the kit pins. */
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { existsSync, readFileSync, renameSync } from "node:fs"
import { delimiter, join } from "node:path"
import { run } from "../process/Command.ts"
import * as ProcessLock from "../process/ProcessLock.ts"
import * as Project from "../process/Project.ts"
import { step } from "../process/Progress.ts"
import * as TemporaryFolder from "../setup/TemporaryFolder.ts"

/** Gives its path; fails with the reason where this machine cannot build it. */
export const acquire: Effect.Effect<string, string> = Effect.gen(function* () {
  const program = join(Project.generated, `promptarena-${pinned()}`)
  if (existsSync(program)) return program
  yield* ProcessLock.waitFor(program)
  if (existsSync(program)) return program
  if (!isInstalled("go")) return yield* Effect.fail("Go is not installed")
  yield* step("Building promptarena with Go; this takes some minutes, once …")
  const folder = yield* TemporaryFolder.make
  yield* run({
    command: "go",
    args: ["install", "-ldflags=-s -w", "github.com/AltairaLabs/promptarena/arena/cmd/promptarena"],
    cwd: source,
    env: { ...process.env, CGO_ENABLED: "0", GOBIN: folder },
    log: Project.log("promptarena"),
    remedy: "Check that this machine reaches a Go module proxy.",
  }).pipe(Effect.mapError(({ message }) => message))
  yield* Effect.sync(() => renameSync(join(folder, "promptarena"), program))
  return program
}).pipe(Effect.scoped)

/** Whether a command is there. */
export const isInstalled = (command: string) =>
  (process.env["PATH"] ?? "").split(delimiter).some((folder) => existsSync(join(folder, command)))

const source = join(Project.root, "docker/arena/promptarena")

const pinned = () =>
  createHash("sha256")
    .update(readFileSync(join(source, "go.sum")))
    .digest("hex")
    .slice(0, 12)
