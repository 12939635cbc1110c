/** Commands that run for longer than their caller waits, followed through any node. */
import { assert, layer } from "@effect/vitest"
import { Clock, Console, Effect, Fiber } from "effect"
import { OperationId } from "../../src/domain/Identity.ts"
import { exec } from "../../src/tools/commands/Exec.ts"
import { killCommand } from "../../src/tools/commands/KillCommand.ts"
import { listCommands } from "../../src/tools/commands/ListCommands.ts"
import { readFile } from "../../src/tools/files/ReadFile.ts"
import { readOutput } from "../../src/tools/commands/ReadOutput.ts"
import { sendInput } from "../../src/tools/commands/SendInput.ts"
import { sessionInfo } from "../../src/tools/sessions/SessionInfo.ts"
import type { TestClient } from "../support/Client.ts"
import { nodesOf, TestCluster } from "../support/TestCluster.ts"
import { until } from "../support/Until.ts"

/** A client with its nodes: the owner of its session first. */
const make = Effect.gen(function* () {
  const cluster = yield* TestCluster
  const client = yield* cluster.client()
  const { owner_node, session_id } = yield* client.ask(sessionInfo, {})
  const nodes = yield* nodesOf(cluster)
  return {
    cluster,
    client,
    session: session_id,
    owner: owner_node,
    urls: [
      ...nodes.filter(({ id }) => id === owner_node),
      ...nodes.filter(({ id }) => id !== owner_node),
    ].map(({ url }) => url),
  }
})

interface Standing {
  readonly status: string
  readonly exit_code?: number | undefined
  readonly stdout_cursor: number
  readonly stderr_cursor: number
  readonly more?: boolean
}

/** Reads a command from its beginning until it shows a text. */
const shows = (client: TestClient, id: OperationId, text: string) =>
  until(client.ask(readOutput, { operation_id: id, wait_ms: 1000 }), ({ stdout }) => stdout.includes(text))

const numbered = (count: number) => Array.from({ length: count }, (_, n) => `line ${n + 1}\n`).join("")

layer(TestCluster.layer({ nodes: 3 }), { excludeTestServices: true, timeout: "90 seconds" })(
  "a command that goes on",
  (it) => {
    it.scoped("is answered after wait_ms, and read through all nodes: each line once and in order", () =>
      Effect.gen(function* () {
        const { client, urls } = yield* make
        const first = yield* client.ask(exec, {
          command: "for n in $(seq 80); do echo line $n; sleep 0.05; done; echo end >&2",
          wait_ms: 500,
        })
        assert.strictEqual(first.status, "running")
        assert.isTrue(numbered(80).startsWith(first.stdout))
        const { operation_id } = first
        let page: Standing = first
        const pieces = [first.stdout]
        const answered = new Set<string>()
        for (let n = 0; page.status === "running" || page.more === true; n++) {
          const { stdout_cursor, stderr_cursor } = page
          const reply = yield* client.call(
            readOutput,
            { operation_id, stdout_cursor, stderr_cursor, wait_ms: 2000 },
            { at: urls[n % 3]! },
          )
          if (reply._tag === "Refused") return assert.fail(reply.failure.message)
          page = reply.output
          answered.add(reply.node)
          pieces.push(reply.output.stdout)
        }
        assert.isAbove(pieces.length, 3)
        assert.strictEqual(answered.size, 3)
        assert.strictEqual(pieces.join(""), numbered(80))
        assert.deepStrictEqual([page.status, page.exit_code, page.stderr_cursor], ["exited", 0, 4])
      }),
    )

    it.scoped("gives thirty who read it at once the same, what there is and what comes", () =>
      Effect.gen(function* () {
        const { client, urls } = yield* make
        const { operation_id } = yield* client.ask(exec, {
          command: "for n in $(seq 500); do echo line $n; done; cat",
          stdin_open: true,
          wait_ms: 0,
        })
        const { stdout_cursor } = yield* shows(client, operation_id, "line 500\n")
        const all = (cursor: number) =>
          Effect.forEach(
            Array.from({ length: 30 }),
            (_, n) => client.ask(readOutput, { operation_id, stdout_cursor: cursor }, { at: urls[n % 3]! }),
            { concurrency: 30 },
          ).pipe(Effect.map((pages) => [...new Set(pages.map(({ stdout }) => stdout))]))
        assert.deepStrictEqual(yield* all(0), [numbered(500)])
        const waiting = yield* Effect.fork(all(stdout_cursor))
        yield* client.ask(sendInput, { operation_id, input: "and on\n" }, { at: urls[2]! })
        assert.deepStrictEqual(yield* Fiber.join(waiting), ["and on\n"])
      }),
    )

    it.scoped("is listed by every node, and ended by kill_command through one that does not own it", () =>
      Effect.gen(function* () {
        const { client, urls } = yield* make
        const { operation_id } = yield* client.ask(exec, {
          command: "setsid sleep 7441 & (setsid nohup sleep 7442 &) ; echo up; exec sleep 7443",
          wait_ms: 0,
        })
        yield* shows(client, operation_id, "up\n")
        const count = client.ask(exec, { argv: ["pgrep", "-c", "-f", "^sleep 744"] })
        assert.propertyVal(yield* count, "stdout", "3\n")
        const lists = yield* Effect.forEach(urls, (at) => client.ask(listCommands, {}, { at }))
        for (const { commands } of lists) {
          assert.deepStrictEqual(commands, lists[0]?.commands)
          assert.deepInclude(commands[0], { operation_id, status: "running", stdout_bytes: 3 })
        }
        const before = yield* Clock.currentTimeMillis
        const killed = yield* client.ask(killCommand, { operation_id }, { at: urls[1]! })
        const took = (yield* Clock.currentTimeMillis) - before
        assert.deepStrictEqual(killed, { operation_id, status: "cancelled", signal: "SIGKILL" })
        assert.propertyVal(yield* count, "stdout", "0\n")
        yield* Console.log(`kill_command to the end of the tree: ${took} ms`)
        assert.isBelow(took, 1000)
        for (const at of urls) {
          const page = yield* client.ask(readOutput, { operation_id }, { at })
          assert.deepInclude(page, { status: "cancelled", stdout: "up\n", more: false })
        }
      }),
    )

    it.scoped("is joined by exec of its operation id through another node, and runs once", () =>
      Effect.gen(function* () {
        const { client, urls } = yield* make
        const input = {
          command: "echo ran >> runs; echo up; read line; echo $line",
          stdin_open: true,
          wait_ms: 500,
        }
        const operation_id = OperationId.make("joined")
        const ask = (at: string) => client.ask(exec, input, { at, operationId: operation_id })
        for (const at of urls) assert.deepInclude(yield* ask(at), { operation_id, status: "running" })
        yield* client.ask(sendInput, { operation_id, input: "done\n" }, { at: urls[1]! })
        const { status } = yield* until(
          client.ask(readOutput, { operation_id }),
          ({ status }) => status !== "running",
        )
        assert.strictEqual(status, "exited")
        const ends = yield* Effect.forEach([...urls, ...urls], ask, { concurrency: 6 })
        assert.deepInclude(ends[0], { status: "exited", exit_code: 0, stdout: "up\ndone\n" })
        for (const end of ends) assert.deepStrictEqual(end, ends[0])
        assert.strictEqual((yield* client.ask(readFile, { path: "runs" })).content, "ran\n")
      }),
    )

    it.scoped("is interrupted in words when its owner dies, for one who waits too, and not run again", () =>
      Effect.gen(function* () {
        const { client, cluster, owner, session, urls } = yield* make
        const [, one = "", other = ""] = urls
        const input = { command: "echo ran >> runs; echo up; sleep 100", wait_ms: 500 }
        const operation_id = OperationId.make("dies")
        const begin = client.call(exec, input, { at: one, operationId: operation_id })
        assert.propertyVal(yield* begin, "_tag", "Output")
        const { stdout_cursor } = yield* shows(client, operation_id, "up\n")
        const waiting = yield* Effect.fork(
          client.refused(readOutput, { operation_id, stdout_cursor, wait_ms: 30_000 }, { at: one }),
        )
        yield* cluster.kill(owner)
        const refusals = [
          yield* Fiber.join(waiting),
          yield* client.refused(readOutput, { operation_id }, { at: other }),
          yield* client.refused(killCommand, { operation_id }, { at: one }),
          yield* client.refused(sendInput, { operation_id, input: "x" }, { at: other }),
          yield* client.refused(exec, input, { at: other, operationId: operation_id }),
        ]
        for (const refusal of refusals) {
          assert.strictEqual(refusal.code, "interrupted")
          assert.include(refusal.message, "was running when its node was lost")
          assert.include(refusal.next, "list_files")
        }
        assert.deepStrictEqual(yield* client.ask(listCommands, {}, { at: one }), { commands: [] })
        assert.deepStrictEqual(
          yield* cluster.sql`SELECT state FROM operation WHERE session_id = ${session} AND id = ${operation_id}`,
          [{ state: "interrupted" }],
        )
        const after = yield* client.ask(exec, { command: "pgrep -c -f '^sleep 100'" }, { at: one })
        assert.strictEqual(after.stdout, "0\n")
      }),
    )
  },
)
