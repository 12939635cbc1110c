/** The real `codegen-mcp stdio` that is given no cluster: it brings a node, and takes it away again. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as ProcessLock from "../../scripts/process/ProcessLock.ts"
import { Docker } from "../../src/sandbox/Docker.ts"
import { labels } from "../../src/sandbox/Specification.ts"
import * as StdioClient from "../support/StdioClient.ts"
import * as TestDatabase from "../support/TestDatabase.ts"
import { until } from "../support/Until.ts"

/** A data folder of the test's own. What is started with it bears its name in the environment. */
const own = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "codegen-mcp-own-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 })),
  )
  chmodSync(folder, 0o755)
  const docker = yield* Effect.map(Layer.build(Docker.layer), Context.get(Docker))
  const env = {
    ...process.env,
    DATA_DIR: folder,
    TEST_MARK: folder,
    POOL_MIN: "0",
    POOL_MAX: "0",
    SHUTDOWN_TIMEOUT: "8 seconds",
  }
  return {
    folder,
    pipe: (args: ReadonlyArray<string> = [], more: Readonly<Record<string, string>> = {}) =>
      StdioClient.pipe(undefined, args, { ...env, ...more } as Record<string, string>),
    processes: Effect.sync(() => processesOf(`TEST_MARK=${folder}`)),
    containersOf: (node: string) =>
      docker.use("list", (docker) =>
        docker.listContainers({ all: true, filters: { label: [`${labels.node}=${node}`] } }),
      ),
  }
})

/** Command lines of the processes that have a variable in their environment. */
const processesOf = (variable: string) =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const found = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(variable)
        return found ? [readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")] : []
      } catch {
        return []
      }
    })

const call = (id: number, name: string, input: Record<string, unknown>) =>
  JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: input } })

/** Introduces a client, and gives the id of the node that serves it. */
const served = (bridge: Effect.Effect.Success<ReturnType<typeof StdioClient.pipe>>) =>
  Effect.gen(function* () {
    yield* bridge.write(StdioClient.hello())
    const hello = yield* bridge.next
    assert.isObject(hello.result, JSON.stringify(hello))
    yield* bridge.write(call(1, "session_info", {}))
    return String((yield* bridge.next).result?.structuredContent?.["owner_node"])
  })

const none = (found: ReadonlyArray<unknown>) => found.length === 0

describe("codegen-mcp stdio, without --url,", () => {
  it.scopedLive("serves by a node and a Postgres of its own, and leaves neither when its client ends", () =>
    Effect.gen(function* () {
      const { containersOf, folder, pipe, processes } = yield* own
      const bridge = yield* pipe()
      const node = yield* served(bridge)
      yield* bridge.write(call(2, "exec", { command: "echo $((6 * 7)) > a && cat a" }))
      assert.deepInclude((yield* bridge.next).result?.structuredContent, { exit_code: 0, stdout: "42\n" })
      assert.strictEqual((yield* containersOf(node)).length, 1)
      assert.match((yield* processes).join("\n"), /postgres -D /)
      bridge.child.stdin?.end()
      assert.deepStrictEqual(yield* bridge.ended, { code: 0, signal: null })
      assert.deepStrictEqual(yield* processes, [])
      assert.deepStrictEqual(yield* containersOf(node), [])
      assert.deepStrictEqual(readdirSync(folder), ["unnamed-1"])
      yield* ProcessLock.acquire(join(folder, "unnamed-1"))
      assert.match(bridge.log(), /Starting a node/)
    }),
  )

  it.scopedLive("leaves nothing where it is killed while a command runs", () =>
    Effect.gen(function* () {
      const { containersOf, pipe, processes } = yield* own
      const bridge = yield* pipe()
      const node = yield* served(bridge)
      yield* bridge.write(call(2, "exec", { command: "sleep 975" }))
      yield* until(containersOf(node), (found) => found.length === 1)
      bridge.child.kill("SIGKILL")
      yield* until(processes, none)
      yield* until(containersOf(node), none)
    }),
  )

  it.scopedLive("leaves nothing where it is killed, or asked to end, before the node is there", () =>
    Effect.gen(function* () {
      const { pipe, processes } = yield* own
      const killed = yield* pipe()
      yield* until(processes, (found) => found.some((line) => line.includes("single.js")))
      killed.child.kill("SIGKILL")
      yield* until(processes, none)
      const asked = yield* pipe()
      yield* until(processes, (found) => found.some((line) => line.includes("postgres")))
      asked.child.kill("SIGTERM")
      assert.deepStrictEqual(yield* asked.ended, { code: 0, signal: null })
      assert.deepStrictEqual(yield* processes, [])
    }),
  )

  it.scopedLive("serves two clients at once from DATABASE_URL, and refuses a named session to a second", () =>
    Effect.gen(function* () {
      const { folder, pipe, processes } = yield* own
      const DATABASE_URL = yield* TestDatabase.make
      const named = yield* pipe(["--session", "mine"], { DATABASE_URL })
      const node = yield* served(named)
      const second = yield* pipe(["--session", "mine"], { DATABASE_URL })
      yield* second.write(StdioClient.hello())
      assert.match(
        (yield* second.next).error!.message,
        /^There is no node: Another client .* the session mine\./,
      )
      const other = yield* pipe([], { DATABASE_URL })
      assert.notStrictEqual(yield* served(other), "")
      assert.deepStrictEqual(readdirSync(folder), ["named-mine", "unnamed-1"])
      assert.notMatch((yield* processes).join("\n"), /postgres -D /)
      for (const { child } of [named, second, other]) child.stdin?.end()
      yield* Effect.forEach([named, second, other], ({ ended }) => ended)
      assert.notStrictEqual(node, "")
      assert.deepStrictEqual(yield* processes, [])
    }),
  )

  it.scopedLive("says to its client why there is no node, and goes on until the client ends", () =>
    Effect.gen(function* () {
      const { pipe } = yield* own
      const bridge = yield* pipe([], { DOCKER_HOST: "tcp://127.0.0.1:1" })
      yield* bridge.write(StdioClient.hello())
      const { error } = yield* bridge.next
      assert.match(
        error!.message,
        /^There is no node: No Docker engine answers at DOCKER_HOST=.* start this server again/,
      )
      bridge.child.stdin?.end()
      assert.deepStrictEqual(yield* bridge.ended, { code: 0, signal: null })
    }),
  )
})
