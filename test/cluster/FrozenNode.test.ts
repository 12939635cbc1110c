/** A node that stands still, as under a debugger or on a machine that swaps, and comes back. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { createServer } from "node:net"
import { exec } from "../../src/tools/commands/Exec.ts"
import { readFile } from "../../src/tools/files/ReadFile.ts"
import { sessionInfo } from "../../src/tools/sessions/SessionInfo.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import * as Leaks from "../support/Leaks.ts"
import { setNetworkPolicy } from "../../src/tools/network/SetNetworkPolicy.ts"
import { nodesOf, settled, TestCluster } from "../support/TestCluster.ts"
import { until } from "../support/Until.ts"

// No other node takes the frozen one for dead, so that what goes of it goes by its own doing; and its look for
// leftovers, which would be due at once when it comes back, does not hide what the session's move leaves behind.
const env = { NODE_EXPIRY: "5 minutes", RECONCILE_INTERVAL: "25 seconds" }

/** What programs may reach: a server here, which notes when something comes, and from whom. */
const heard: Array<{ readonly at: number; readonly text: string }> = []
const listening = createServer((socket) => {
  heard.push({ at: performance.now(), text: "connected" })
  socket.on("error", () => undefined)
  socket.on("data", (text) => heard.push({ at: performance.now(), text: text.toString() }))
})
const port = await new Promise<number>((resolve) => {
  listening.listen(0, "127.0.0.1", () => resolve((listening.address() as { readonly port: number }).port))
})
listening.unref()
const reaching = { NETWORK_MAX: `localhost:${port}`, TUNNEL_ALLOW_CIDRS: "127.0.0.0/8" }

/** Connects through the proxy, says its name without end, and begins again where that breaks. */
const program = (name: string) => `
import os, socket, time
proxy = os.environ["HTTP_PROXY"].split("//")[1].split(":")
while True:
    try:
        s = socket.create_connection((proxy[0], int(proxy[1])), 5)
        s.sendall(b"CONNECT localhost:${port} HTTP/1.1\\r\\n\\r\\n")
        assert b" 200 " in s.recv(1000)
        while True:
            s.sendall(b"${name} ")
            time.sleep(0.02)
    except Exception:
        time.sleep(0.05)
`

layer(TestCluster.layer({ nodes: 3, env: { ...env, ...reaching } }), {
  excludeTestServices: true,
  timeout: "60 seconds",
})("a frozen owner", (it) => {
  it.scoped(
    "loses its session to another node with its files, and does not disturb it when it comes back",
    () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        const first = yield* nodesOf(cluster)
        const client = yield* cluster.client({ url: `${first[0]?.url}/mcp`, abandon: true })
        const before = yield* client.ask(sessionInfo, {})
        const frozen = before.owner_node
        const incarnation = yield* cluster.incarnation(frozen)
        const others = first.filter(({ id }) => id !== frozen)
        const [at, elsewhere] = [others[0]?.url ?? "", others[1]?.url ?? ""]
        yield* client.ask(writeFile, { path: "old.txt", content: "old" }, { at })
        const running = yield* Effect.fork(
          client.call(exec, { command: "echo on > up; sleep 100" }, { at, operationId: "frozen" }),
        )
        yield* until(
          Effect.orDie(client.call(readFile, { path: "up" }, { at: elsewhere })),
          (reply) => reply._tag === "Output" && reply.output.content.length > 0,
        )
        const containers = yield* cluster.containers
        assert.deepStrictEqual(
          containers.map((container) => container.incarnation),
          [incarnation],
        )

        const started = performance.now()
        const since = () => Math.round(performance.now() - started)
        yield* cluster.freeze(frozen)
        yield* Effect.gen(function* () {
          const found = yield* client.ask(exec, { command: "ls -A" }, { at: elsewhere })
          assert.strictEqual(found.stdout, "old.txt\n")
          yield* client.ask(writeFile, { path: "new.txt", content: "new" }, { at })
          console.log(`freeze to the first success elsewhere: ${since()} ms`)
          assert.isBelow(since(), 25_000)
          const reply = yield* running
          assert.strictEqual(reply._tag === "Refused" ? reply.failure.code : "success", "interrupted")
        }).pipe(Effect.ensuring(Effect.orDie(cluster.thaw(frozen))))

        // Its shards go back to the thawed node, and the session with them, with the files that it has by now: never
        // those that the thawed node held before. Until that node has noticed, it may still describe the session as it
        // was.
        yield* until(
          Effect.orDie(client.call(sessionInfo, {}, { at })),
          (reply) =>
            reply._tag === "Output" &&
            reply.output.owner_node === frozen &&
            reply.output.epoch > before.epoch + 1,
        )
        yield* settled(first.map(({ url }) => url))
        assert.strictEqual((yield* client.ask(readFile, { path: "new.txt" }, { at })).content, "new")
        for (const { url } of first) {
          const found = yield* client.ask(exec, { command: "ls -A" }, { at: url })
          assert.strictEqual(found.stdout, "new.txt\nold.txt\n")
        }

        // Whatever it still did for the call that was interrupted is refused, and what it held is removed.
        const rows = yield* cluster.sql`
          SELECT state, outcome IS NULL AS unwritten FROM operation WHERE id = 'frozen'`
        assert.deepStrictEqual(rows, [{ state: "interrupted", unwritten: true }])
        const again = yield* client.refused(
          exec,
          { command: "echo on > up; sleep 100" },
          { at, operationId: "frozen" },
        )
        assert.strictEqual(again.code, "interrupted")
        yield* until(cluster.containers, (all) => !all.some(({ id }) => id === containers[0]?.id))
        console.log(`freeze to the removal of its container: ${since()} ms`)
        yield* Leaks.none(cluster)
      }),
  )

  it.scoped("reaches nothing outside for a session that another node has taken over", () =>
    Effect.gen(function* () {
      const cluster = yield* TestCluster
      const nodes = yield* nodesOf(cluster)
      const client = yield* cluster.client({ url: `${nodes[0]?.url}/mcp`, abandon: true })
      const { owner_node: frozen, session_id: session } = yield* client.ask(sessionInfo, {})
      const at = nodes.find(({ id }) => id !== frozen)?.url ?? ""
      yield* client.ask(setNetworkPolicy, { network: "custom", hosts: [`localhost:${port}`] }, { at })
      yield* client.ask(writeFile, { path: "talk.py", content: program("old") }, { at })
      yield* client.ask(exec, { command: "python3 talk.py >/dev/null 2>&1 &" }, { at })
      yield* until(
        Effect.sync(() => heard.some(({ text }) => text.includes("old"))),
        (isHeard) => isHeard,
      )
      const [row] = yield* cluster.sql<{ container: string }>`
        SELECT container FROM session WHERE id = ${session}`
      let since = Infinity
      yield* cluster.freeze(frozen)
      yield* Effect.gen(function* () {
        // The policy came along.
        yield* client.ask(exec, { command: "sed -i s/old/new/ talk.py; python3 talk.py & sleep 1" }, { at })
        yield* until(
          Effect.sync(() => heard.some(({ text }) => text.includes("new"))),
          (isHeard) => isHeard,
        )
        since = performance.now()
      }).pipe(Effect.ensuring(Effect.orDie(cluster.thaw(frozen))))
      yield* until(cluster.containers, (all) => !all.some(({ id }) => id === row?.container), "40 seconds")
      assert.deepStrictEqual(
        heard.filter(({ at, text }) => at > since && text.includes("old")),
        [],
      )
    }),
  )
})
