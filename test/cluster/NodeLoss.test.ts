/** Nodes that join, leave and die while the others go on. The tests build on each other's cluster, in this order. */
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Ref } from "effect"
import * as LocalNode from "../../scripts/cluster/LocalNode.ts"
import { exec } from "../../src/tools/commands/Exec.ts"
import { readFile } from "../../src/tools/files/ReadFile.ts"
import { sessionInfo } from "../../src/tools/sessions/SessionInfo.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import type { TestClient } from "../support/Client.ts"
import * as Http from "../support/Http.ts"
import * as Leaks from "../support/Leaks.ts"
import { clientOwnedBy, nodesOf, settled, TestCluster } from "../support/TestCluster.ts"
import { until } from "../support/Until.ts"

/** Waits until a command has written its first line, which shows that it runs. */
const up = (client: TestClient, file: string, at: string) =>
  until(
    Effect.orDie(client.call(readFile, { path: file }, { at })),
    (reply) => reply._tag === "Output" && reply.output.content.length > 0,
  )

const codeOf = (reply: { readonly _tag: string; readonly failure?: { readonly code: string } }) =>
  reply.failure?.code ?? "success"

layer(TestCluster.layer({ nodes: 3, env: { SHUTDOWN_TIMEOUT: "8 seconds" } }), {
  excludeTestServices: true,
  timeout: "90 seconds",
})("node loss", (it) => {
  it.scoped(
    "a node that gets SIGTERM ends with 0, its containers gone, with a stream open and a command running, and saves files",
    () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        const nodes = yield* nodesOf(cluster)
        const stayer = yield* clientOwnedBy(cluster, "node-1")
        const state = yield* cluster.state
        const leaver = yield* LocalNode.start({
          id: "leaver",
          databaseUrl: state.databaseUrl,
          settings: state.settings,
          runFolder: cluster.runFolder,
        })
        yield* settled([...nodes.map(({ url }) => url), leaver.entry.url])
        const client = yield* clientOwnedBy(cluster, "leaver")
        yield* client.ask(writeFile, { path: "a.txt", content: "a" })
        const ofLeaver = Effect.map(cluster.containers, (all) =>
          all.filter(({ incarnation }) => incarnation === leaver.entry.incarnation),
        )
        assert.strictEqual((yield* ofLeaver).length, 1)

        const direct = yield* cluster.client({ url: `${leaver.entry.url}/mcp`, abandon: true })
        const stream = yield* Effect.fork(
          Http.send(`${leaver.entry.url}/mcp`, {
            headers: { accept: "text/event-stream", "mcp-session-id": direct.connection },
          }),
        )
        const command = { command: "echo on > up; sleep 100" }
        const running = yield* Effect.fork(
          Effect.either(client.call(exec, command, { at: leaver.entry.url, operationId: "at-the-leaver" })),
        )
        const elsewhere = yield* Effect.fork(
          client.call(
            exec,
            { command: "echo on > up2; sleep 100" },
            { at: nodes[0]?.url ?? "", operationId: "through-another" },
          ),
        )
        yield* up(client, "up", nodes[0]?.url ?? "")
        yield* up(client, "up2", nodes[0]?.url ?? "")

        const before = performance.now()
        yield* leaver.child.signal("SIGTERM")
        const exit = yield* Effect.timeoutOption(leaver.child.exited, "10 seconds")
        console.log(`SIGTERM to the end of the process: ${Math.round(performance.now() - before)} ms`)
        assert.deepStrictEqual(exit._tag === "Some" ? exit.value : undefined, { code: 0, signal: null })
        assert.deepStrictEqual(yield* ofLeaver, [])
        yield* stream

        // Whoever is on the leaver's own connection gets an answer or a closed connection, and no hang.
        const own = yield* running
        if (own._tag === "Right") assert.notStrictEqual(own.right._tag, "Output")
        assert.strictEqual(codeOf(yield* elsewhere), "interrupted")

        // Also what the commands had written that were interrupted.
        const { stdout } = yield* client.ask(exec, { command: "ls -A /workspace; cat a.txt" })
        assert.strictEqual(stdout, "a.txt\nup\nup2\na")
        // The next owner records their end.
        const rows = yield* cluster.sql<{ id: string; state: string }>`
        SELECT id, state FROM operation WHERE id IN ('at-the-leaver', 'through-another') ORDER BY id`
        assert.deepStrictEqual(rows, [
          { id: "at-the-leaver", state: "interrupted" },
          { id: "through-another", state: "interrupted" },
        ])
        assert.notStrictEqual((yield* client.ask(sessionInfo, {})).owner_node, "leaver")
        yield* stayer.ask(sessionInfo, {})
        yield* settled(nodes.map(({ url }) => url))
      }),
  )

  it.scoped("a node that joins takes shards, while calls go on", () =>
    Effect.gen(function* () {
      const cluster = yield* TestCluster
      const clients = yield* Effect.replicateEffect(cluster.client(), 6)
      const codes = yield* Ref.make<ReadonlyArray<string>>([])
      const joined = yield* Ref.make(false)
      const busy = yield* Effect.forEach(
        clients,
        (client) =>
          Effect.gen(function* () {
            while (!(yield* Ref.get(joined))) {
              const reply = yield* client.call(exec, { command: "echo x >> log" })
              yield* Ref.update(codes, (all) => [...all, codeOf(reply)])
            }
          }),
        { concurrency: 6 },
      ).pipe(Effect.fork)
      yield* until(Ref.get(codes), (all) => all.length >= 6)
      const id = yield* cluster.addNode()
      assert.strictEqual(id, "node-4")
      yield* settled((yield* nodesOf(cluster)).map(({ url }) => url))
      const moved = yield* clientOwnedBy(cluster, id)
      yield* moved.ask(exec, { command: "true" })
      yield* Ref.set(joined, true)
      yield* Fiber.join(busy)
      const seen = new Set(yield* Ref.get(codes))
      console.log(`calls while a node joined: ${JSON.stringify(count(yield* Ref.get(codes)))}`)
      assert.deepStrictEqual(
        [...seen].filter((code) => code !== "success"),
        [],
      )
      for (const { url } of yield* nodesOf(cluster)) yield* moved.ask(exec, { command: "true" }, { at: url })
    }),
  )

  it.scoped(
    "kill -9 of the owner: its call is interrupted, and the next one works with the files of the last answer",
    () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        const client = yield* cluster.client()
        const before = yield* client.ask(sessionInfo, {})
        const owner = before.owner_node
        const dead = yield* cluster.incarnation(owner)
        const alive = (yield* nodesOf(cluster)).filter(({ id }) => id !== owner)
        const edge = alive[0]?.url ?? ""
        const other = alive[1]?.url ?? ""
        yield* client.ask(writeFile, { path: "kept.txt", content: "kept" })
        const input = { command: "echo on >> runs; sleep 100" }
        const running = yield* Effect.fork(client.call(exec, input, { at: edge, operationId: "dies" }))
        const atOwner = yield* Effect.fork(
          Effect.either(
            client.call(
              exec,
              { command: "sleep 100" },
              { at: yield* cluster.url(owner), operationId: "dies-with-its-edge" },
            ),
          ),
        )
        yield* up(client, "runs", edge)

        const killed = performance.now()
        const since = () => Math.round(performance.now() - killed)
        yield* cluster.kill(owner)
        assert.strictEqual((yield* atOwner)._tag, "Left")
        assert.strictEqual(codeOf(yield* running), "interrupted")
        const interruptedAfter = since()
        const list = { command: "ls -A /workspace; cat kept.txt" }
        const { stdout } = yield* client.ask(exec, list, { at: other })
        console.log(
          `kill -9 to the interrupted answer: ${interruptedAfter} ms, to the first success: ${since()} ms`,
        )
        assert.isBelow(since(), 20_000)
        assert.strictEqual(stdout, "kept.txt\nkept")

        // The calls that ran are not run again, whoever asks, and their ends say so.
        const again = yield* client.refused(exec, input, { at: other, operationId: "dies" })
        assert.strictEqual(again.code, "interrupted")
        assert.isAbove(again.next.length, 0)
        assert.include(again.message, "The files are those of checkpoint 1.")
        const lost = yield* client.refused(
          exec,
          { command: "sleep 100" },
          { at: edge, operationId: "dies-with-its-edge" },
        )
        assert.strictEqual(lost.code, "interrupted")
        assert.strictEqual((yield* client.ask(exec, list, { at: edge })).stdout, "kept.txt\nkept")
        const rows = yield* cluster.sql`
        SELECT id, state FROM operation WHERE session_id = ${before.session_id} AND id LIKE 'dies%' ORDER BY id`
        assert.deepStrictEqual(rows, [
          { id: "dies", state: "interrupted" },
          { id: "dies-with-its-edge", state: "interrupted" },
        ])

        const after = yield* client.ask(sessionInfo, {})
        assert.strictEqual(after.session_id, before.session_id)
        assert.notStrictEqual(after.owner_node, owner)
        assert.isAbove(after.epoch, before.epoch)
        for (let n = 0; n < 4; n++) yield* client.ask(exec, { command: "true" })
        yield* until(cluster.containers, (all) => all.every(({ incarnation }) => incarnation !== dead))
        console.log(`kill -9 to the removal of its containers: ${since()} ms`)

        assert.strictEqual(yield* cluster.addNode(owner), owner)
        assert.notStrictEqual(yield* cluster.incarnation(owner), dead)
        yield* settled((yield* nodesOf(cluster)).map(({ url }) => url))
        const back = yield* clientOwnedBy(cluster, owner)
        yield* back.ask(exec, { command: "true" })
        yield* Leaks.none(cluster)
      }),
  )
})

const count = (codes: ReadonlyArray<string>) =>
  Object.fromEntries([...new Set(codes)].map((code) => [code, codes.filter((one) => one === code).length]))
