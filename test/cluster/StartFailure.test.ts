/** A node that cannot start says why in one line, with what to do, and leaves nothing. */
import { assert, layer } from "@effect/vitest"
import { SqlClient } from "@effect/sql"
import { PgClient } from "@effect/sql-pg"
import { Cause, Context, Effect, Layer, Redacted } from "effect"
import { spawn } from "node:child_process"
import { createServer } from "node:net"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Port from "../../scripts/process/Port.ts"
import * as Project from "../../scripts/process/Project.ts"
import * as TestDatabase from "../support/TestDatabase.ts"
import * as TestNode from "../support/TestNode.ts"

/** Runs a node's program to its end, for 30 s at most, on ports and folders of its own. */
const run = (settings: Readonly<Record<string, string>>, args: ReadonlyArray<string> = []) =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "codegen-mcp-start-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true })),
    )
    const env: Record<string, string | undefined> = {
      PATH: process.env["PATH"],
      HOME: folder,
      DOCKER_HOST: process.env["DOCKER_HOST"],
      ...(yield* TestNode.images),
      HTTP_PORT: String(yield* Port.free),
      RUNNER_PORT: String(yield* Port.free),
      DATA_DIR: folder,
      ...settings,
    }
    return yield* Effect.async<Ended>((resume) => {
      const child = spawn(process.execPath, [Project.built("main.js"), ...args], {
        env,
        stdio: ["ignore", "pipe", "pipe"],
      })
      const output = { stdout: "", stderr: "" }
      child.stdout.on("data", (data: Buffer) => (output.stdout += data.toString()))
      child.stderr.on("data", (data: Buffer) => (output.stderr += data.toString()))
      child.once("close", (code, signal) => resume(Effect.succeed({ code, signal, ...output })))
      return Effect.sync(() => void child.kill("SIGKILL"))
    }).pipe(
      Effect.timeoutFailCause({
        duration: "30 seconds",
        onTimeout: () => Cause.die("it neither starts nor ends"),
      }),
    )
  })

interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

/** One line that says this, and nothing else. */
const refusesWith = (ended: Ended, ...words: ReadonlyArray<string | RegExp>) => {
  assert.deepStrictEqual({ code: ended.code, signal: ended.signal }, { code: 1, signal: null }, ended.stderr)
  assert.strictEqual(ended.stdout, "")
  assert.strictEqual(ended.stderr.trimEnd().split("\n").length, 1, ended.stderr)
  assert.match(ended.stderr, /^codegen-mcp: .{20,400}\n$/)
  assert.notMatch(ended.stderr, /\bat .*:\d+:\d+|Error:|FiberFailure|undefined/)
  for (const word of words) assert.match(ended.stderr, typeof word === "string" ? new RegExp(word) : word)
}

/** One for all: a node that cannot start leaves no more than the tables in it. */
class Database extends Context.Tag("codegen-mcp/test/StartFailure/Database")<
  Database,
  { readonly DATABASE_URL: string }
>() {
  static readonly layer = Layer.scoped(
    Database,
    Effect.map(TestDatabase.make, (url) => ({ DATABASE_URL: url })),
  )
}

const secret = "0123456789abcdef0123456789abcdef"

const unused = { DATABASE_URL: "postgres://nobody@127.0.0.1:1/none" }

/** A port that another program listens on. */
const taken = Effect.acquireRelease(
  Effect.flatMap(Port.free, (port) =>
    Effect.async<{ readonly port: number; readonly close: () => void }>((resume) => {
      const server = createServer((socket) => socket.destroy())
      server.listen(port, "127.0.0.1", () =>
        resume(Effect.succeed({ port, close: () => void server.close() })),
      )
    }),
  ),
  ({ close }) => Effect.sync(close),
)

layer(Database.layer, { excludeTestServices: true })("a node that cannot start", (it) => {
  it.scoped("names the HTTP port that is taken", () =>
    Effect.gen(function* () {
      const { port } = yield* taken
      refusesWith(
        yield* run({ ...(yield* Database), HTTP_PORT: String(port) }),
        `${port}`,
        "taken",
        "HTTP_PORT",
      )
    }),
  )

  it.scoped("names the runner's port that is taken", () =>
    Effect.gen(function* () {
      const { port } = yield* taken
      refusesWith(
        yield* run({ ...(yield* Database), RUNNER_PORT: String(port) }),
        `${port}`,
        "taken",
        "RUNNER_PORT",
      )
    }),
  )

  it.scoped("says where Postgres was looked for, where it refuses", () =>
    Effect.gen(function* () {
      refusesWith(yield* run(unused), "127.0.0.1:1", "DATABASE_URL")
    }),
  )

  it.scoped("says so where the database does not exist, and shows no password", () =>
    Effect.gen(function* () {
      const { DATABASE_URL } = yield* Database
      const url = Object.assign(new URL(DATABASE_URL), { pathname: "/there_is_none" })
      const ended = yield* run({ DATABASE_URL: url.toString() })
      refusesWith(ended, "there_is_none", "DATABASE_URL")
      if (url.password !== "") assert.notInclude(ended.stderr, url.password)
    }),
  )

  it.scoped("says so where Postgres takes the connection and stays silent", () =>
    Effect.gen(function* () {
      const port = yield* Effect.map(
        Effect.acquireRelease(
          Effect.async<ReturnType<typeof createServer>>((resume) => {
            const server = createServer((socket) => void socket.on("error", () => undefined).resume())
            server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
          }),
          (server) => Effect.sync(() => void server.close()),
        ),
        (server) => (server.address() as { port: number }).port,
      )
      refusesWith(
        yield* run({ DATABASE_URL: `postgres://nobody@127.0.0.1:${port}/none` }),
        `127.0.0.1:${port}`,
        "DATABASE_URL",
      )
    }),
  )

  it.scoped("says so where there is no Docker engine", () =>
    Effect.gen(function* () {
      const settings = yield* Database
      refusesWith(
        yield* run({ ...settings, DOCKER_HOST: "unix:///nonexistent/docker.sock" }),
        "No Docker engine",
        "DOCKER_HOST",
      )
      refusesWith(
        yield* run({ ...settings, DOCKER_HOST: "tcp://127.0.0.1:1" }),
        "No Docker engine",
        "DOCKER_HOST",
      )
    }),
  )

  it.scoped("names the image that is missing", () =>
    Effect.gen(function* () {
      const ended = yield* run({ ...(yield* Database), SANDBOX_IMAGE: "codegen-mcp-none:missing" })
      refusesWith(ended, "codegen-mcp-none:missing", "SANDBOX_IMAGE")
    }),
  )

  it.scoped("names the runtime that the engine does not have", () =>
    Effect.gen(function* () {
      refusesWith(
        yield* run({ ...(yield* Database), SANDBOX_RUNTIME: "no-such-runtime" }),
        "no-such-runtime",
        "SANDBOX_RUNTIME",
      )
    }),
  )

  it.scoped("refuses to serve beyond loopback without tokens", () =>
    Effect.gen(function* () {
      refusesWith(yield* run({ ...(yield* Database), HTTP_HOST: "0.0.0.0" }), "HTTP_HOST", "API_TOKENS")
    }),
  )

  it.scoped(
    "refuses to serve other nodes beyond loopback without a secret, and where none could call it",
    () =>
      Effect.gen(function* () {
        const open = yield* run({ ...(yield* Database), RUNNER_HOST: "192.0.2.1" })
        refusesWith(open, "RUNNER_HOST", "CLUSTER_SECRET", /127\.0\.0\.1/)
        const nowhere = { RUNNER_HOST: "0.0.0.0", CLUSTER_SECRET: secret }
        refusesWith(
          yield* run({ ...(yield* Database), ...nowhere }),
          "RUNNER_HOST",
          "other nodes cannot call",
        )
      }),
  )

  it.scoped("refuses a secret that could be guessed, and does not show it", () =>
    Effect.gen(function* () {
      const ended = yield* run({ ...unused, CLUSTER_SECRET: `${secret},hunter2` })
      refusesWith(ended, "CLUSTER_SECRET", "32 characters", "openssl rand")
      assert.notInclude(ended.stderr, "hunter2")
    }),
  )

  it.scoped("refuses a cluster whose nodes have another secret, or none", () =>
    Effect.gen(function* () {
      const DATABASE_URL = yield* TestDatabase.make
      const context = yield* Layer.build(PgClient.layer({ url: Redacted.make(DATABASE_URL) }))
      const sql = Context.get(context, SqlClient.SqlClient)
      // Makes the tables.
      yield* run({ DATABASE_URL, SANDBOX_IMAGE: "codegen-mcp-none:missing" })
      yield* sql`INSERT INTO node (incarnation, id, engine) VALUES ('i_1', 'node-open', 'e')`
      refusesWith(yield* run({ DATABASE_URL, CLUSTER_SECRET: secret }), "node-open", "CLUSTER_SECRET")
      yield* sql`UPDATE node SET id = 'node-other', link_keys = ARRAY['${sql.literal("0".repeat(32))}']`
      refusesWith(yield* run({ DATABASE_URL, CLUSTER_SECRET: secret }), "node-other", "CLUSTER_SECRET")
      refusesWith(yield* run({ DATABASE_URL }), "node-other", "CLUSTER_SECRET")
    }),
  )

  it.scoped("refuses an address that is not this machine's", () =>
    Effect.gen(function* () {
      const token = `a:${"0".repeat(64)}`
      const ended = yield* run({ ...(yield* Database), HTTP_HOST: "192.0.2.1", API_TOKENS: token })
      refusesWith(ended, "192.0.2.1", "HTTP_HOST")
    }),
  )

  const wrong: ReadonlyArray<readonly [name: string, value: string]> = [
    ["HTTP_PORT", "eighty"],
    ["SANDBOX_CPUS", "0"],
    ["COMMAND_TIMEOUT", "soon"],
    ["API_TOKENS", "anne:secret"],
    ["DATABASE_URL", "not a url"],
  ]
  for (const [name, value] of wrong) {
    it.scoped(`names the setting that is wrong: ${name}=${value}`, () =>
      Effect.gen(function* () {
        refusesWith(yield* run({ ...(yield* Database), [name]: value }), name)
      }),
    )
  }

  for (const args of [["--bogus"], ["sevre"]]) {
    it.scoped(`names the argument that it does not know: ${args.join(" ")}`, () =>
      Effect.gen(function* () {
        refusesWith(yield* run(unused, args), args.at(-1)?.replaceAll("-", "") ?? "", "--help")
      }),
    )
  }

  it.scoped("prints every setting for --help, and needs none for it", () =>
    Effect.gen(function* () {
      const ended = yield* run({}, ["--help"])
      assert.deepStrictEqual([ended.code, ended.stderr], [0, ""])
      for (const name of ["DATABASE_URL", "HTTP_PORT", "API_TOKENS", "RECONCILE_GRACE"]) {
        assert.include(ended.stdout, name)
      }
    }),
  )
})
