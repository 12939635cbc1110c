/**
 * A Postgres of our own on the loopback interface, for a machine or a test that brings none. It belongs to the
 * scope: started and, when it dies, started again by it, and shut down with it. Its files stay in their folder.
 * Two scripts never share a folder. A server that a killed script left behind is shut down first.
 */
import { SqlClient } from "@effect/sql"
import { PgClient } from "@effect/sql-pg"
import { Deferred, Duration, Effect, Redacted, Ref, Schedule } from "effect"
import type { Scope } from "effect"
import { randomBytes } from "node:crypto"
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import * as Child from "../process/Child.ts"
import { lastLine, run } from "../process/Command.ts"
import * as Port from "../process/Port.ts"
import * as ProcessLock from "../process/ProcessLock.ts"
import { step } from "../process/Progress.ts"
import { StartError } from "../process/StartError.ts"
import { endOrphan } from "./PostgresOrphan.ts"
import * as PostgresProgram from "./PostgresProgram.ts"

export interface EmbeddedPostgres {
  /** `postgres://user:password@127.0.0.1:port/postgres` */
  readonly url: string
  /** Its process now; another one after it died. */
  readonly process: Effect.Effect<Child.Child>
}

/** Starts Postgres on a folder, which is made and filled where it is missing. */
export const start = (folder: string): Effect.Effect<EmbeddedPostgres, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    const program = yield* PostgresProgram.install
    yield* Effect.sync(() => makeFolder(folder, program))
    yield* ProcessLock.acquire(join(folder, "data")).pipe(
      Effect.mapError(
        () =>
          new StartError({
            problem: `Another start uses the data in ${folder} already.`,
            remedy: "Stop it first, join it with --join, or set DATABASE_URL to another Postgres.",
          }),
      ),
    )
    yield* endOrphan(join(folder, "data"))
    const password = yield* initialise(folder, program)
    const port = yield* Port.free
    const url = `postgres://codegen:${password}@127.0.0.1:${port}/postgres`
    return yield* supervise(folder, program, port, url)
  })

const makeFolder = (folder: string, { user }: PostgresProgram.PostgresProgram) => {
  mkdirSync(folder, { recursive: true })
  if (user !== undefined) chownSync(folder, user.uid, user.gid)
  chmodSync(folder, 0o700)
}

/** Makes the database files, in one step as far as anyone can see, and gives the password. */
const initialise = (folder: string, { initdb, user }: PostgresProgram.PostgresProgram) =>
  Effect.gen(function* () {
    const [data, fresh, secret] = [join(folder, "data"), join(folder, "data.new"), join(folder, "password")]
    if (existsSync(data)) return readFileSync(secret, "utf8").trim()
    yield* step("Making the database files …")
    const password = randomBytes(24).toString("hex")
    yield* Effect.sync(() => {
      rmSync(fresh, { recursive: true, force: true })
      writeFileSync(secret, `${password}\n`, { mode: 0o600 })
      if (user !== undefined) chownSync(secret, user.uid, user.gid)
    })
    yield* run({
      command: initdb,
      args: [
        "-D",
        fresh,
        "-U",
        "codegen",
        "-E",
        "UTF8",
        "--locale=C",
        "-A",
        "scram-sha-256",
        "--pwfile",
        secret,
      ],
      cwd: folder,
      ...(user === undefined ? {} : { user }),
      log: join(folder, "initdb.log"),
      remedy: "Or set DATABASE_URL to a Postgres of your own.",
    })
    yield* Effect.sync(() => renameSync(fresh, data))
    return password
  })

/** Keeps a server running until the scope closes; returns once it answers. */
const supervise = (folder: string, program: PostgresProgram.PostgresProgram, port: number, url: string) =>
  Effect.gen(function* () {
    const log = join(folder, "postgres.log")
    const first = yield* Deferred.make<void, StartError>()
    const current = yield* Ref.make<Child.Child | undefined>(undefined)
    const failures = yield* Ref.make(0)
    yield* Effect.sync(() => rmSync(log, { force: true }))

    const serve = Effect.gen(function* () {
      const child = yield* Child.start({
        command: program.postgres,
        args: ["-D", join(folder, "data"), "-p", String(port), ...options],
        cwd: folder,
        output: log,
        stopSignal: "SIGINT",
        stopWithin: "30 seconds",
        ...(program.user === undefined ? {} : { user: program.user }),
      })
      yield* Ref.set(current, child)
      const { code, signal } = yield* child.exited
      if (yield* Deferred.isDone(first)) {
        yield* step(`Postgres has ended (${signal ?? `code ${code}`}); starting it again …`)
      } else if ((yield* Ref.updateAndGet(failures, (n) => n + 1)) >= 3) {
        yield* Deferred.fail(first, unable(log))
      }
    }).pipe(Effect.scoped)

    yield* serve.pipe(
      Effect.catchAll((error) => Deferred.fail(first, error)),
      Effect.repeat(Schedule.spaced("200 millis")),
      Effect.forkScoped,
    )
    yield* answers(url).pipe(
      Effect.timeoutFail({ duration: Duration.seconds(60), onTimeout: () => unable(log) }),
      Effect.intoDeferred(first),
      Effect.forkScoped,
    )
    yield* Deferred.await(first)
    const process = Effect.flatMap(Ref.get(current), (child) =>
      child === undefined ? Effect.never : Effect.succeed(child),
    )
    return { url, process }
  })

/** Waits until Postgres answers a query. */
const answers = (url: string) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) => sql`SELECT 1`).pipe(
    Effect.provide(
      PgClient.layer({ url: Redacted.make(url), maxConnections: 1, connectTimeout: "2 seconds" }),
    ),
    Effect.retry(Schedule.spaced("50 millis")),
    Effect.asVoid,
    Effect.orDie,
  )

const unable = (log: string) =>
  new StartError({
    problem: `The embedded Postgres does not start${lastLine(log)}.`,
    remedy: `See ${log}, or set DATABASE_URL to a Postgres of your own.`,
  })

const options = [
  ["listen_addresses", "127.0.0.1"],
  ["unix_socket_directories", ""],
  ["max_connections", "300"],
  ["wal_level", "minimal"],
  ["max_wal_senders", "0"],
  ["log_line_prefix", "%m [%p] "],
].flatMap(([name, value]) => ["-c", `${name}=${value}`])
