/** The real `codegen-mcp stdio` before a real cluster, while what lies between breaks. */
import { assert, layer } from "@effect/vitest"
import { type Cause, Effect, Fiber } from "effect"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Balancer from "../../scripts/cluster/Balancer.ts"
import * as StateFile from "../../scripts/cluster/StateFile.ts"
import * as StdioClient from "../support/StdioClient.ts"
import { TestCluster } from "../support/TestCluster.ts"
import * as TcpProxy from "../support/TcpProxy.ts"
import { until } from "../support/Until.ts"

const ticks = (count: number, pause: number) =>
  `echo run >> runs; for i in $(seq ${count}); do echo tick $i; sleep ${pause}; done`

const ticked = (count: number) => Array.from({ length: count }, (_, index) => `tick ${index + 1}\n`).join("")

const connections = Effect.gen(function* () {
  const { sql } = yield* TestCluster
  return (yield* sql<{ id: string }>`SELECT id FROM connection`).map(({ id }) => id)
})

layer(TestCluster.layer({ nodes: 3 }), { excludeTestServices: true, timeout: "90 seconds" })(
  "codegen-mcp stdio",
  (it) => {
    it.scoped("carries a client to its session: tools, calls, and their output as it comes", () =>
      Effect.gen(function* () {
        const { mcpUrl } = yield* TestCluster
        const { call, client } = yield* StdioClient.open(mcpUrl)
        assert.strictEqual(client.getServerVersion()?.name, "codegen-mcp")
        const { tools } = yield* Effect.promise(() => client.listTools())
        assert.includeMembers(
          tools.map(({ name }) => name),
          ["exec", "read_file", "session_info"],
        )
        const told: Array<string> = []
        const answer = yield* call(
          "exec",
          { command: ticks(10, 0.1) },
          { onprogress: ({ message }) => told.push(message ?? "") },
        )
        assert.deepInclude(answer, { status: "exited", exit_code: 0, stdout: ticked(10) })
        assert.strictEqual(told.join(""), ticked(10))
        assert.isAbove(told.length, 3)
      }),
    )

    it.scoped("carries twenty calls at once, and each runs once", () =>
      Effect.gen(function* () {
        const { mcpUrl } = yield* TestCluster
        const { call } = yield* StdioClient.open(mcpUrl)
        const answers = yield* Effect.forEach(
          Array.from({ length: 20 }, (_, index) => index),
          (index) => call("exec", { command: `echo ${index} >> runs; echo ${index}` }),
          { concurrency: "unbounded" },
        )
        assert.deepStrictEqual(
          answers.map(({ stdout }) => stdout),
          Array.from({ length: 20 }, (_, index) => `${index}\n`),
        )
        const { stdout } = yield* call("exec", { command: "wc -l < runs" })
        assert.strictEqual(stdout, "20\n")
      }),
    )

    it.scoped("passes a cancel on at once: the whole process tree ends", () =>
      Effect.gen(function* () {
        const { mcpUrl } = yield* TestCluster
        const { call } = yield* StdioClient.open(mcpUrl)
        const controller = new AbortController()
        const calling = yield* call(
          "exec",
          { command: "(setsid sleep 976.54321 &) ; sleep 976.54321" },
          { signal: controller.signal },
        ).pipe(Effect.exit, Effect.fork)
        yield* until(Effect.sync(marked), (count) => count === 2)
        controller.abort()
        yield* until(Effect.sync(marked), (count) => count === 0)
        yield* Fiber.join(calling)
        assert.deepInclude(yield* call("exec", { command: "echo on" }), { stdout: "on\n" })
      }),
    )

    for (const protocol of ["2025-06-18", "2025-11-25"]) {
      it.scoped(`brings a call's output whole and once, cut off every 300 ms, at ${protocol}`, () =>
        Effect.gen(function* () {
          const { mcpUrl } = yield* TestCluster
          const { hostname, pathname, port } = new URL(mcpUrl)
          const proxy = yield* TcpProxy.make({ host: hostname, port: Number(port) })
          const bridge = yield* StdioClient.pipe(`http://127.0.0.1:${proxy.port}${pathname}`)
          yield* bridge.write(StdioClient.hello(protocol))
          assert.strictEqual((yield* bridge.next).id, 0)
          let cuts = 0
          yield* Effect.zipRight(proxy.cut, proxy.restore).pipe(
            Effect.tap(() => Effect.sync(() => cuts++)),
            Effect.delay("300 millis"),
            Effect.forever,
            Effect.forkScoped,
          )
          yield* bridge.write(exec(1, ticks(25, 0.2), "p"))
          let told = ""
          let answer = yield* bridge.next
          for (; answer.id === undefined; answer = yield* bridge.next) told += messageOf(answer)
          assert.strictEqual(answer.id, 1)
          assert.deepInclude(answer.result?.structuredContent, { status: "exited", stdout: ticked(25) })
          assert.strictEqual(told, ticked(25))
          assert.isAbove(cuts, 10)
          yield* bridge.write(exec(2, "wc -l < runs"))
          assert.deepInclude((yield* bridge.next).result?.structuredContent, { stdout: "1\n" })
        }),
      )
    }

    it.scoped("comes back by itself where its connection has ended, to the files of a named session", () =>
      Effect.gen(function* () {
        const { mcpUrl, sql } = yield* TestCluster
        const { call, client, log } = yield* StdioClient.open(mcpUrl, ["--session", "asleep"])
        yield* call("write_file", { path: "kept.txt", content: "kept" })
        const before = yield* connections
        yield* sql`DELETE FROM connection`
        assert.deepInclude(yield* call("read_file", { path: "kept.txt" }), { content: "kept" })
        yield* Effect.promise(() => client.listTools())
        const after = yield* connections
        assert.strictEqual(after.length, 1)
        assert.notDeepEqual(after, before)
        assert.match(log(), /^codegen-mcp: .*new one\.\n$/)
      }),
    )

    it.scoped("says to each call under way, and to no later one, that an unnamed session is lost", () =>
      Effect.gen(function* () {
        const { mcpUrl, sql } = yield* TestCluster
        const { call } = yield* StdioClient.open(mcpUrl)
        yield* call("write_file", { path: "lost.txt", content: "lost" })
        yield* sql`DELETE FROM connection`
        const [first, second] = yield* Effect.all(
          [call("list_files", {}), call("exec", { command: "echo run >> runs" })].map(refusal),
          { concurrency: 2 },
        )
        assert.match(first!, /its session and all files.*--session NAME/)
        assert.match(second!, /was not run again/)
        const { stdout } = yield* call("exec", { command: "ls" })
        assert.strictEqual(stdout, "")
        assert.strictEqual((yield* connections).length, 1)
      }),
    )

    it.scoped("ends with its standard input, and its connection with it", () =>
      Effect.gen(function* () {
        const { mcpUrl } = yield* TestCluster
        const bridge = yield* connected(mcpUrl)
        assert.strictEqual((yield* connections).length, 1)
        bridge.child.stdin?.end()
        assert.deepStrictEqual(yield* bridge.ended, { code: 0, signal: null })
        assert.deepStrictEqual(yield* connections, [])
        assert.strictEqual(bridge.log(), "")
      }),
    )

    it.scoped("ends the same way on SIGTERM, and where its standard output is closed", () =>
      Effect.gen(function* () {
        const { mcpUrl } = yield* TestCluster
        const asked = yield* connected(mcpUrl)
        asked.child.kill("SIGTERM")
        assert.deepStrictEqual(yield* asked.ended, { code: 0, signal: null })
        assert.deepStrictEqual(yield* connections, [])
        const unheard = yield* connected(mcpUrl)
        unheard.child.stdout?.destroy()
        yield* unheard.write(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }))
        assert.deepStrictEqual(yield* unheard.ended, { code: 0, signal: null })
        assert.deepStrictEqual(yield* connections, [])
      }),
    )

    it.scoped("killed, leaves a lease and nothing past it: no session, no command, no container", () =>
      Effect.gen(function* () {
        const { containers, mcpUrl, sql } = yield* TestCluster
        const before = yield* containers
        const bridge = yield* connected(mcpUrl)
        yield* bridge.write(exec(1, "sleep 976.54321"))
        yield* until(Effect.sync(marked), (count) => count === 1)
        bridge.child.kill("SIGKILL")
        yield* bridge.ended
        const [connection] = yield* connections
        const mine = yield* sql<{
          id: string
        }>`SELECT session_id AS id FROM connection WHERE id = ${connection!}`
        yield* sql`UPDATE connection SET seen_at = now() - interval '1 day'`
        yield* sql`UPDATE session SET active_at = now() - interval '1 day' WHERE id = ${mine[0]!.id}`
        yield* until(connections, (left) => left.length === 0)
        yield* until(Effect.sync(marked), (count) => count === 0)
        yield* until(containers, (left) => left.length <= before.length)
        const open = yield* sql`SELECT 1 FROM session WHERE id = ${mine[0]!.id} AND closed_at IS NULL`
        assert.deepStrictEqual(open, [])
      }),
    )

    it.scoped("answers a line that is no message, and serves the next one", () =>
      Effect.gen(function* () {
        const { mcpUrl } = yield* TestCluster
        const bridge = yield* connected(mcpUrl)
        yield* bridge.write("{garbage")
        assert.deepInclude(yield* bridge.next, { id: null })
        yield* bridge.write(`"${"x".repeat(17 * 1024 * 1024)}"`)
        assert.match((yield* bridge.next).error!.message, /16777216 bytes/)
        yield* bridge.write(JSON.stringify({ jsonrpc: "2.0", id: "two", method: "ping" }))
        assert.deepStrictEqual(yield* bridge.next, { jsonrpc: "2.0", id: "two", result: {} } as never)
      }),
    )

    it.scoped("writes no line of 1 MiB, whatever a command says", () =>
      Effect.gen(function* () {
        const { mcpUrl } = yield* TestCluster
        const bridge = yield* connected(mcpUrl)
        let longest = 0
        bridge.child.stdout?.on("data", (data: Buffer) => {
          for (const part of (rest + data.toString("latin1")).split("\n")) {
            longest = Math.max(longest, part.length)
            rest = part
          }
        })
        let rest = ""
        yield* bridge.write(
          exec(
            1,
            String.raw`head -c 3000000 /dev/zero | tr '\0' '\001'; head -c 3000000 /dev/zero | tr '\0' '"' >&2`,
            "p",
          ),
        )
        while ((yield* bridge.next).id !== 1);
        assert.isBelow(longest, 200_000)
      }),
    )

    // The last one: a node dies.
    it.scoped("brings a call's output whole and once where the node that carries it is killed", () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        const state = yield* cluster.state
        const folder = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(tmpdir(), "codegen-mcp-stdio-"))),
          (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true })),
        )
        const stateFile = join(folder, "state.json")
        yield* StateFile.write(stateFile, state)
        const port = yield* Balancer.serve({ host: "127.0.0.1", port: 0, stateFile })
        const { call } = yield* StdioClient.open(`http://127.0.0.1:${port}/mcp`)
        const { owner_node } = yield* call("session_info", {})
        const [carrier, ...others] = state.nodes.filter(({ id }) => id !== owner_node)
        yield* StateFile.write(stateFile, { ...state, nodes: [carrier!] })
        yield* until(call("session_info", {}), ({ edge_node }) => edge_node === carrier!.id)
        let told = ""
        const calling = yield* Effect.fork(
          call("exec", { command: ticks(40, 0.1) }, { onprogress: ({ message }) => (told += message) }),
        )
        yield* until(
          Effect.sync(() => told),
          (told) => told.includes("tick 5\n"),
        )
        const owner = state.nodes.find(({ id }) => id === owner_node)
        yield* StateFile.write(stateFile, { ...state, nodes: [owner!, ...others] })
        yield* cluster.kill(carrier!.id)
        assert.deepInclude(yield* Fiber.join(calling), { status: "exited", stdout: ticked(40) })
        assert.strictEqual(told, ticked(40))
        assert.deepInclude(yield* call("exec", { command: "wc -l < runs" }), { stdout: "1\n" })
      }),
    )
  },
)

/** A bare bridge whose client has introduced itself. */
const connected = (url: string) =>
  Effect.gen(function* () {
    const bridge = yield* StdioClient.pipe(url)
    yield* bridge.write(StdioClient.hello())
    assert.isObject((yield* bridge.next).result)
    return bridge
  })

const exec = (id: number, command: string, progressToken?: string) =>
  JSON.stringify({
    jsonrpc: "2.0",
    id,
    method: "tools/call",
    params: {
      name: "exec",
      arguments: { command },
      ...(progressToken === undefined ? {} : { _meta: { progressToken } }),
    },
  })

const messageOf = (message: { readonly params?: { readonly message?: string } }) =>
  message.params?.message ?? ""

/** What a call that fails says. */
const refusal = (call: Effect.Effect<unknown>) =>
  call.pipe(
    Effect.flip,
    Effect.catchAllCause((cause: Cause.Cause<unknown>) => Effect.succeed(String(cause))),
    Effect.map(String),
  )

/** Processes of the machine whose command line has the mark. */
const marked = () =>
  Number(execFileSync("sh", ["-c", "pgrep -fc '^sleep 976[.]54321' || true"]).toString().trim())
