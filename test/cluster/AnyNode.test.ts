/** Three nodes, all alive: any request may land on any of them. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { closeSession } from "../../src/tools/sessions/CloseSession.ts"
import { exec } from "../../src/tools/commands/Exec.ts"
import { listSessions } from "../../src/tools/sessions/ListSessions.ts"
import { openSession } from "../../src/tools/sessions/OpenSession.ts"
import { readFile } from "../../src/tools/files/ReadFile.ts"
import { sessionInfo } from "../../src/tools/sessions/SessionInfo.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import * as Http from "../support/Http.ts"
import * as RawClient from "../support/RawClient.ts"
import { nodesOf, settled, shards, TestCluster } from "../support/TestCluster.ts"
import { until } from "../support/Until.ts"

layer(TestCluster.layer({ nodes: 3 }), { excludeTestServices: true, timeout: "90 seconds" })(
  "three nodes",
  (it) => {
    describe("a cluster that was started at once on an empty database", () => {
      it.effect("is ready, and each shard is held, by one node", () =>
        Effect.gen(function* () {
          const cluster = yield* TestCluster
          const nodes = yield* nodesOf(cluster)
          const all = yield* settled(nodes.map(({ url }) => url))
          assert.deepStrictEqual(
            all.map(({ status, ready, node, postgres, engine }) => ({
              status,
              ready,
              node,
              postgres,
              engine,
            })),
            nodes.map(({ id }) => ({ status: 200, ready: true, node: id, postgres: true, engine: true })),
          )
          assert.isTrue(all.every((node) => node.shards > 0))
          const locks = yield* cluster.sql<{ held: number; shards: number }>`
            SELECT count(*)::int AS held, count(DISTINCT (classid, objid))::int AS shards FROM pg_locks
            WHERE locktype = 'advisory' AND granted
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
          assert.deepStrictEqual(locks, [{ held: shards, shards }])
        }),
      )

      it.effect("names the node in every answer, errors too", () =>
        Effect.gen(function* () {
          for (const { id, url } of yield* nodesOf(yield* TestCluster)) {
            const answers = yield* Effect.forEach(
              [
                { path: "/healthz", status: 200 },
                { path: "/readyz", status: 200 },
                { path: "/nothing", status: 404 },
                { path: "/mcp", method: "PUT", status: 405 },
                { path: "/mcp", method: "POST", body: "{", status: 400 },
                { path: "/mcp", headers: { origin: "http://example.com" }, status: 403 },
              ],
              ({ path, status, ...request }) =>
                Effect.map(
                  Http.send(`${url}${path}`, {
                    ...request,
                    headers: { "content-type": "application/json", ...request.headers },
                  }),
                  (answer) => ({
                    path,
                    wanted: status,
                    status: answer.status,
                    node: answer.headers["x-codegen-node"],
                  }),
                ),
            )
            assert.deepStrictEqual(
              answers,
              answers.map(({ path, wanted }) => ({ path, wanted, status: wanted, node: id })),
            )
          }
        }),
      )
    })

    describe("a session", () => {
      it.scoped("opened through one node is used through all others, which do not own it", () =>
        Effect.gen(function* () {
          const cluster = yield* TestCluster
          const nodes = yield* nodesOf(cluster)
          const [first, ...others] = nodes
          const client = yield* cluster.client({ url: `${first?.url}/mcp` })
          yield* client.ask(writeFile, { path: "src/a.txt", content: "from node 1" })
          const infos = yield* Effect.forEach([first, ...others], (node) =>
            client.ask(sessionInfo, {}, { at: node?.url ?? "" }),
          )
          for (const { url } of others) {
            assert.strictEqual(
              (yield* client.ask(readFile, { path: "src/a.txt" }, { at: url })).content,
              "from node 1",
            )
            yield* client.ask(exec, { command: `echo more >> src/b.txt` }, { at: url })
          }
          assert.strictEqual((yield* client.ask(readFile, { path: "src/b.txt" })).content, "more\nmore\n")
          assert.deepStrictEqual(
            infos.map((info) => info.edge_node),
            nodes.map((node) => node.id),
          )
          assert.strictEqual(
            new Set(infos.map((info) => `${info.session_id} ${info.owner_node} ${info.epoch}`)).size,
            1,
          )
          assert.strictEqual(infos.filter((info) => info.owner_node !== info.edge_node).length, 2)
          assert.strictEqual(infos[0]?.durability, "node")
          assert.strictEqual((yield* cluster.containers).length, 1)
        }),
      )

      it.scoped("goes through the balancer, where each request lands on another node", () =>
        Effect.gen(function* () {
          const client = yield* (yield* TestCluster).client()
          yield* client.ask(writeFile, { path: "n", content: "0\n" })
          for (let n = 1; n <= 6; n++) {
            const { stdout } = yield* client.ask(exec, { command: `echo ${n} >> n; wc -l < n` })
            assert.strictEqual(stdout.trim(), String(n + 1))
          }
          assert.strictEqual(new Set(client.nodes).size, 3)
        }),
      )

      it.scoped("never shows its files to another, though ten clients write the same path at once", () =>
        Effect.gen(function* () {
          const cluster = yield* TestCluster
          const clients = yield* Effect.replicateEffect(cluster.client(), 10, { concurrency: 10 })
          const read = yield* Effect.forEach(
            clients,
            (client, n) =>
              Effect.gen(function* () {
                yield* client.ask(writeFile, { path: "same.txt", content: `content of ${n}` })
                yield* client.ask(exec, { command: `echo ${n} > /home/agent/mine; echo ${n} > /tmp/mine` })
                const { content } = yield* client.ask(readFile, { path: "same.txt" })
                const { stdout } = yield* client.ask(exec, { command: "cat ~/mine /tmp/mine; ls -A" })
                return [content, stdout]
              }),
            { concurrency: 10 },
          )
          assert.deepStrictEqual(
            read,
            clients.map((_, n) => [`content of ${n}`, `${n}\n${n}\nsame.txt\n`]),
          )
          assert.strictEqual(new Set(clients.map((client) => client.connection)).size, 10)
        }),
      )

      it.scoped("takes many calls at once through all nodes, and runs each once", () =>
        Effect.gen(function* () {
          const cluster = yield* TestCluster
          const nodes = yield* nodesOf(cluster)
          const client = yield* cluster.client()
          const lines = Array.from({ length: 30 }, (_, n) => `line ${n}`)
          const answered = yield* Effect.forEach(
            lines,
            (line, n) =>
              client.ask(
                exec,
                { command: `echo ${line} >> log; echo ${line}` },
                { at: nodes[n % 3]?.url ?? "" },
              ),
            { concurrency: 30 },
          )
          assert.deepStrictEqual(
            answered.map(({ stdout }) => stdout.trim()),
            lines,
          )
          const { content } = yield* client.ask(readFile, { path: "log" })
          assert.deepStrictEqual(content.trim().split("\n").sort(), [...lines].sort())
        }),
      )

      it.scoped("with a name is found again by a new client, with its files, after DELETE", () =>
        Effect.gen(function* () {
          const cluster = yield* TestCluster
          const first = yield* cluster.client({ session: "project.1" })
          yield* first.ask(writeFile, { path: "kept.txt", content: "kept" })
          const { session_id: id, name } = yield* first.ask(sessionInfo, {})
          yield* first.end()
          const second = yield* cluster.client({ session: "project.1" })
          assert.notStrictEqual(second.connection, first.connection)
          assert.strictEqual((yield* second.ask(readFile, { path: "kept.txt" })).content, "kept")
          assert.strictEqual((yield* second.ask(sessionInfo, {})).session_id, id)
          assert.strictEqual(name, "project.1")
          yield* second.ask(closeSession, {})
          const third = yield* cluster.client({ session: "project.1" })
          assert.notStrictEqual((yield* third.ask(sessionInfo, {})).session_id, id)
          yield* third.ask(closeSession, {})
        }),
      )

      it.scoped("with a name is one, though two clients open it at once on two nodes", () =>
        Effect.gen(function* () {
          const cluster = yield* TestCluster
          const nodes = yield* nodesOf(cluster)
          const clients = yield* Effect.forEach(
            [0, 1, 2, 3, 4, 5],
            (n) => cluster.client({ url: `${nodes[n % 3]?.url}/mcp`, session: "at-once" }),
            { concurrency: 6 },
          )
          const ids = yield* Effect.forEach(clients, (client) => client.ask(sessionInfo, {}), {
            concurrency: 6,
          })
          assert.strictEqual(new Set(ids.map((info) => info.session_id)).size, 1)
          yield* clients[0]!.ask(closeSession, {})
        }),
      )

      it.effect("with a bad name is refused with 400", () =>
        Effect.gen(function* () {
          const cluster = yield* TestCluster
          for (const name of ["", "a b", "-x", "../x", "x".repeat(65)]) {
            const refusal = yield* Effect.flip(Effect.scoped(cluster.client({ session: name })))
            assert.strictEqual(refusal.status, 400, name)
          }
        }),
      )

      it.scoped("opened by a tool is used by its id through any node, and gone for all once closed", () =>
        Effect.gen(function* () {
          const cluster = yield* TestCluster
          const nodes = yield* nodesOf(cluster)
          const client = yield* cluster.client()
          const { session_id: session } = yield* client.ask(openSession, {})
          yield* client.ask(writeFile, { path: "x", content: "of the other" }, { session })
          for (const { url } of nodes) {
            assert.strictEqual(
              (yield* client.ask(readFile, { path: "x" }, { session, at: url })).content,
              "of the other",
            )
            assert.strictEqual(
              (yield* client.refused(readFile, { path: "x" }, { at: url })).code,
              "not_found",
            )
          }
          const { sessions } = yield* client.ask(listSessions, {})
          assert.includeMembers(
            sessions.map((one) => one.session_id),
            [session],
          )
          yield* client.ask(closeSession, {}, { session })
          for (const { url } of nodes) {
            const { code } = yield* client.refused(readFile, { path: "x" }, { session, at: url })
            assert.strictEqual(code, "session_closed")
          }
        }),
      )

      it.scoped("without a name ends with DELETE: its container goes, and every node answers 404", () =>
        Effect.gen(function* () {
          const cluster = yield* TestCluster
          const nodes = yield* nodesOf(cluster)
          const client = yield* cluster.client()
          yield* client.ask(exec, { command: "true" })
          assert.strictEqual((yield* cluster.containers).length, 1)
          yield* client.end()
          assert.deepStrictEqual(yield* cluster.containers, [])
          for (const { url } of nodes) {
            const raw = RawClient.of(url, client.connection)
            const answer = yield* raw.post({ id: 1, method: "tools/list" })
            assert.strictEqual(answer.status, 404)
          }
        }),
      )

      it.scoped(
        "that is deleted while a command runs ends it as interrupted, and removes its container",
        () =>
          Effect.gen(function* () {
            const cluster = yield* TestCluster
            const client = yield* cluster.client()
            const running = yield* Effect.fork(client.call(exec, { command: "echo on > up; sleep 100" }))
            yield* until(
              Effect.orDie(client.call(readFile, { path: "up" })),
              (reply) => reply._tag === "Output" && reply.output.content === "on\n",
            )
            yield* client.end()
            const reply = yield* running
            assert.strictEqual(
              reply._tag === "Refused" ? reply.failure.code : reply.output.status,
              "interrupted",
            )
            yield* until(cluster.containers, (containers) => containers.length === 0)
          }),
      )
    })

    describe("an operation id", () => {
      it.scoped("that comes again on another node joins the call that runs, which runs once", () =>
        Effect.gen(function* () {
          const cluster = yield* TestCluster
          const nodes = yield* nodesOf(cluster)
          const client = yield* cluster.client()
          const input = { command: "echo ran >> runs; sleep 1; date +%s%N" }
          const replies = yield* Effect.forEach(
            [...nodes, ...nodes],
            ({ url }) => client.ask(exec, input, { at: url, operationId: "join-me" }),
            { concurrency: 6 },
          )
          assert.strictEqual(new Set(replies.map((reply) => JSON.stringify(reply))).size, 1)
          assert.strictEqual(replies[0]?.operation_id, "join-me")
          assert.strictEqual((yield* client.ask(readFile, { path: "runs" })).content, "ran\n")
        }),
      )

      it.scoped("that comes again after the end gets the stored outcome", () =>
        Effect.gen(function* () {
          const cluster = yield* TestCluster
          const client = yield* cluster.client()
          const input = { command: "echo ran >> runs; date +%s%N; exit 3" }
          const first = yield* client.ask(exec, input, { operationId: "again" })
          assert.strictEqual(first.exit_code, 3)
          for (const { url } of yield* nodesOf(cluster)) {
            assert.deepStrictEqual(yield* client.ask(exec, input, { operationId: "again", at: url }), first)
          }
          assert.strictEqual((yield* client.ask(readFile, { path: "runs" })).content, "ran\n")
        }),
      )

      it.scoped("with other arguments, or of another tool, is refused, while it runs and afterwards", () =>
        Effect.gen(function* () {
          const client = yield* (yield* TestCluster).client()
          const running = yield* Effect.fork(
            client.ask(exec, { command: "echo on > up; sleep 2" }, { operationId: "taken" }),
          )
          yield* until(
            Effect.orDie(client.call(readFile, { path: "up" })),
            (reply) => reply._tag === "Output",
          )
          const reused = (command: string) =>
            Effect.map(client.refused(exec, { command }, { operationId: "taken" }), ({ code }) => code)
          assert.strictEqual(yield* reused("echo other"), "operation_id_reused")
          yield* running
          assert.strictEqual(yield* reused("echo other"), "operation_id_reused")
          const { code } = yield* client.refused(
            writeFile,
            { path: "x", content: "" },
            { operationId: "taken" },
          )
          assert.strictEqual(code, "operation_id_reused")
        }),
      )

      it.scoped("means nothing in another session", () =>
        Effect.gen(function* () {
          const cluster = yield* TestCluster
          const [one, two] = [yield* cluster.client(), yield* cluster.client()]
          const first = yield* one.ask(exec, { command: "echo one" }, { operationId: "shared" })
          const second = yield* two.ask(exec, { command: "echo two" }, { operationId: "shared" })
          assert.deepStrictEqual([first.stdout, second.stdout], ["one\n", "two\n"])
        }),
      )
    })
  },
)
