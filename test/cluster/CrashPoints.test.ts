/** Nodes that die in the middle of a call, each at another step of it. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { isAlive } from "../../scripts/process/Alive.ts"
import { exec } from "../../src/tools/commands/Exec.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import type { TestClient } from "../support/Client.ts"
import * as Point from "../support/crash/Point.ts"
import * as Leaks from "../support/Leaks.ts"
import { nodesOf, sessionOwnedBy, settled, TestCluster } from "../support/TestCluster.ts"
import * as TestProgram from "../support/TestProgram.ts"
import { until } from "../support/Until.ts"

/** Outside all workspaces: each command notes here that it runs. */
const counts = mkdtempSync(join(tmpdir(), "codegen-counts-"))
chmodSync(counts, 0o777)

const env = {
  TEMPLATES: JSON.stringify({
    counted: { mounts: [{ source: counts, target: "/counts", read_only: false }] },
  }),
}

/** What is to come of a call whose owner dies there. */
interface Ends {
  readonly point: Point.Point
  readonly runs: 0 | 1
  readonly end: "success" | "interrupted"
  /** By the node that dies, which answers nobody then; otherwise by another one. */
  readonly asked?: "the owner"
}

const rounds: ReadonlyArray<ReadonlyArray<Ends>> = [
  [
    { point: "after the running row", runs: 0, end: "interrupted" },
    { point: "after the spawn", runs: 1, end: "interrupted" },
    { point: "after the blobs", runs: 1, end: "interrupted" },
  ],
  [
    { point: "before the commit", runs: 1, end: "interrupted" },
    { point: "after the commit", runs: 1, end: "success" },
    { point: "before the answer", runs: 1, end: "success", asked: "the owner" },
  ],
]

const names = (text: string) => text.split("\n").filter((line) => line !== "")

/**
 * Makes a session that the node owns; gives what has the node die at its point, of a call of that session, and that gives
 * the look at what came of it.
 */
const doomed = (client: TestClient, victim: string, survivor: string, { asked, end, point, runs }: Ends) =>
  Effect.gen(function* () {
    const cluster = yield* TestCluster
    const session = yield* sessionOwnedBy(client, victim, "counted")
    const saved = yield* client.ask(writeFile, { path: "kept", content: point }, { session })
    assert.deepInclude(saved.checkpoint, { state: "saved" })
    const operationId = point.replaceAll(" ", "-")
    const count = join("/counts", operationId)
    const input = {
      // More than what is kept in rows: it makes a pack of its own.
      command: `umask 0; echo ${operationId} >> ${count}; head -c 100000 /dev/urandom > made; echo done`,
    }
    const { nodes } = yield* cluster.state
    const owner = nodes.find(({ id }) => id === victim)
    const ask = (at: string) =>
      Effect.map(client.call(exec, input, { session, operationId, at }), (reply) =>
        reply._tag === "Output" ? reply.output : reply.failure,
      )
    const codeOf = (answer: Effect.Effect.Success<ReturnType<typeof ask>>) =>
      "code" in answer ? answer.code : "success"

    yield* Point.arm(join(cluster.runFolder, victim), point)
    const isGone = until(
      Effect.sync(() => isAlive(owner?.pid ?? 0)),
      (alive) => !alive,
    )
    const dies = Effect.gen(function* () {
      const killed = performance.now()
      if (asked === "the owner") yield* Effect.raceFirst(Effect.ignore(ask(owner?.url ?? "")), isGone)
      else assert.strictEqual(codeOf(yield* ask(survivor)), end, point)
      yield* isGone
      console.log(`${point}: known ${Math.round(performance.now() - killed)} ms later`)
    })
    const leavesItRight = Effect.gen(function* () {
      const again = yield* ask(survivor)
      assert.strictEqual(codeOf(again), end, point)
      if ("code" in again) {
        assert.include(again.message, "The files are those of checkpoint 1.", point)
        assert.isAbove(again.next.length, 0)
      } else assert.deepInclude(again, { stdout: "done\n", checkpoint: { state: "saved", id: "2" } }, point)
      assert.deepStrictEqual(yield* ask(survivor), again, point)

      const noted = join(counts, operationId)
      const ran = existsSync(noted) ? names(readFileSync(noted, "utf8")) : []
      assert.lengthOf(ran, runs, point)
      const rows =
        yield* cluster.sql`SELECT state FROM operation WHERE session_id = ${session} AND id = ${operationId}`
      assert.deepStrictEqual(rows, [{ state: end === "success" ? "succeeded" : end }], point)
      const { stdout } = yield* client.ask(exec, { command: "ls; cat kept" }, { session, at: survivor })
      assert.strictEqual(stdout, `kept\n${end === "success" ? "made\n" : ""}${point}`, point)
    })
    return { dies, leavesItRight }
  })

layer(TestCluster.layer({ nodes: 4, env, program: TestProgram.make("test/support/crash/main.ts") }), {
  excludeTestServices: true,
  timeout: "2 minutes",
})("a node that dies in the middle of a call", (it) => {
  it.scoped("leaves it ended as its records say, and whoever asks again gets that, and runs nothing", () =>
    Effect.gen(function* () {
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(counts, { recursive: true, force: true })))
      const cluster = yield* TestCluster
      const [survivor, ...victims] = yield* nodesOf(cluster)
      const client = yield* cluster.client({ url: `${survivor?.url}/mcp` })
      for (const [index, round] of rounds.entries()) {
        if (index > 0) {
          yield* Effect.forEach(victims, ({ id }) => cluster.addNode(id), { concurrency: "unbounded" })
        }
        yield* settled((yield* nodesOf(cluster)).map(({ url }) => url))
        const all = yield* Effect.forEach(
          round,
          (ends, index) => doomed(client, victims[index]?.id ?? "", survivor?.url ?? "", ends),
          { concurrency: "unbounded" },
        )
        // All at once, for sessions move once a node has died, and also between those that live.
        const together = { concurrency: "unbounded", discard: true } as const
        yield* Effect.forEach(all, ({ dies }) => dies, together)
        yield* Effect.forEach(all, ({ leavesItRight }) => leavesItRight, together)
      }
      yield* Leaks.none(cluster)
    }),
  )
})
