/** Sessions at work all the time, on a cluster that loses one node after the other with all that is on it. */
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Layer, Ref } from "effect"
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Docker } from "../../src/sandbox/Docker.ts"
import { exec } from "../../src/tools/commands/Exec.ts"
import { openSession } from "../../src/tools/sessions/OpenSession.ts"
import { readFile } from "../../src/tools/files/ReadFile.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import * as Leaks from "../support/Leaks.ts"
import { nodesOf, settled, TestCluster } from "../support/TestCluster.ts"
import { until } from "../support/Until.ts"

const kills = 10
const workers = 20

/** Sandboxes that wait on each node: about as many as sessions move at once. */
const pooled = 8

/** Outside all workspaces: each command notes here that it runs, in its session's file, as whatever user it is. */
const counts = mkdtempSync(join(tmpdir(), "codegen-counts-"))
chmodSync(counts, 0o777)

const templates = JSON.stringify({
  counted: {
    mounts: [{ source: counts, target: "/counts", read_only: false }],
    pool_min: pooled,
    pool_max: pooled,
  },
})

/** Writes a numbered file, runs a command and reads the file back, on and on; notes what was acknowledged. */
const worker = (cluster: TestCluster["Type"], name: string, done: Ref.Ref<boolean>) =>
  Effect.gen(function* () {
    const client = yield* cluster.client()
    const { session_id: session } = yield* client.ask(openSession, { template: "counted" })
    /** What files hold, as the last answer that said so; of one that was interrupted, what they may hold too. */
    const files = new Map<string, ReadonlyArray<string>>()
    const ran = new Set<string>()
    const ends: Array<{ readonly at: number; readonly code: string }> = []
    /** As a client does: what is not answered is asked again, under the same id. */
    const call = Effect.fnUntraced(function* <I, O>(
      tool: Parameters<typeof client.call<I, O>>[0],
      input: I,
      operationId: string,
    ) {
      for (;;) {
        const end = yield* Effect.either(client.call(tool, input, { session, operationId }))
        const code =
          end._tag === "Left"
            ? "not answered"
            : end.right._tag === "Refused"
              ? end.right.failure.code
              : "success"
        ends.push({ at: performance.now(), code })
        if (end._tag === "Left" || code === "unavailable") yield* Effect.sleep(200)
        else return end.right
      }
    })
    const work = Effect.gen(function* () {
      for (let round = 1; !(yield* Ref.get(done)); round++) {
        const path = `${round % 7}`
        const content = `${name} ${round}`
        const written = yield* call(writeFile, { path, content }, `write-${round}`)
        if (written._tag === "Output") {
          assert.include(["saved", "unchanged"], written.output.checkpoint.state)
          files.set(path, [content])
        } else files.set(path, [...(files.get(path) ?? [""]), content])
        const id = `run-${round}`
        const command = `umask 0; echo ${id} >> /counts/${name}; echo ${round} >> log; cat ${path}`
        const output = yield* call(exec, { command }, id)
        if (output._tag === "Output") {
          ran.add(id)
          assert.include(["saved", "unchanged"], output.output.checkpoint.state)
          if (written._tag === "Output") assert.strictEqual(output.output.stdout, content)
        }
        const read = yield* call(readFile, { path }, `read-${round}`)
        const found =
          read._tag === "Output" ? read.output.content : read.failure.code === "not_found" ? "" : undefined
        if (found !== undefined) assert.include(files.get(path) ?? [], found, `${name} ${path}`)
        yield* Effect.sleep(100)
      }
    })
    return {
      name,
      session,
      client,
      files,
      ran,
      ends,
      fiber: yield* Effect.fork(work),
    }
  })

/**
 * What calls may come to when a node dies: a command is interrupted, an answer goes with its node (and what was not
 * recorded may be asked again), and a file that was never acknowledged may not be there.
 */
const expected = new Set([
  "success",
  "not answered",
  "interrupted",
  "answer_lost",
  "unavailable",
  "not_found",
])

const percentile = (values: ReadonlyArray<number>, part: number) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))]!

const env = {
  NODE_EXPIRY: "5 seconds",
  RECONCILE_INTERVAL: "1 second",
  RECONCILE_GRACE: "2 seconds",
  TEMPLATES: templates,
  MAX_SANDBOXES: "60",
  MAX_MEMORY: String(2 ** 40),
}

layer(Layer.merge(TestCluster.layer({ nodes: 3, env }), Docker.layer), {
  excludeTestServices: true,
  timeout: "5 minutes",
})("a cluster that loses node after node, with their containers and folders", (it) => {
  it.scoped("keeps every file that it has acknowledged, and runs no command twice", () =>
    Effect.gen(function* () {
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(counts, { recursive: true, force: true })))
      const cluster = yield* TestCluster
      const { use } = yield* Docker
      const done = yield* Ref.make(false)
      const all = yield* Effect.forEach(
        Array.from({ length: workers }, (_, index) => `w${index}`),
        (name) => worker(cluster, name, done),
        { concurrency: 5 },
      )
      const pauses: Array<number> = []
      const loses = Effect.gen(function* () {
        for (let kill = 0; kill < kills; kill++) {
          yield* until(cluster.containers, (all) => all.length >= workers + 3 * pooled, "1 minute")
          yield* Effect.sleep("2 seconds")
          const nodes = yield* nodesOf(cluster)
          const victim = nodes[kill % nodes.length]!.id
          const dead = yield* cluster.incarnation(victim)
          const moved = yield* cluster.sql<{ id: string }>`
          SELECT id FROM session WHERE incarnation = ${dead} AND container IS NOT NULL`
          const killed = performance.now()
          yield* cluster.kill(victim)
          const containers = (yield* cluster.containers).filter(({ incarnation }) => incarnation === dead)
          yield* Effect.forEach(
            containers,
            ({ id }) =>
              Effect.ignore(
                use("remove", (docker) => docker.getContainer(id).remove({ force: true, v: true })),
              ),
            { concurrency: 8 },
          )
          rmSync(join(cluster.runFolder, victim), { recursive: true, force: true })
          for (const { ends, session } of all) {
            if (!moved.some(({ id }) => id === session)) continue
            const first = () => ends.find(({ at, code }) => at > killed && code === "success")
            yield* until(Effect.sync(first), (end) => end !== undefined)
            pauses.push(first()!.at - killed)
          }
          yield* cluster.addNode(victim)
          yield* settled((yield* nodesOf(cluster)).map(({ url }) => url))
        }
      })
      // One that fails ends it all.
      const failing = Effect.zipRight(Fiber.joinAll(all.map(({ fiber }) => fiber)), Effect.never)
      yield* Effect.raceFirst(loses, failing)
      yield* Ref.set(done, true)
      yield* Fiber.joinAll(all.map(({ fiber }) => fiber))

      console.log(
        `${kills} kills, ${pauses.length} sessions moved; from the kill to the next success: ` +
          `p50 ${Math.round(percentile(pauses, 0.5))} ms, p95 ${Math.round(percentile(pauses, 0.95))} ms`,
      )
      const codes = new Map<string, number>()
      for (const { code } of all.flatMap(({ ends }) => ends)) codes.set(code, (codes.get(code) ?? 0) + 1)
      console.log(`calls: ${[...codes].map(([code, count]) => `${count} ${code}`).join(", ")}`)
      assert.sameMembers(
        [...codes.keys()].filter((code) => !expected.has(code)),
        [],
      )
      assert.isAbove(pauses.length, kills)

      for (const { name, client, session, files, ran } of all) {
        for (const [path, contents] of files) {
          const { content } = yield* client.ask(readFile, { path }, { session })
          assert.include(contents, content, `${name}: ${path}`)
        }
        const log = yield* client.ask(readFile, { path: "log" }, { session })
        const lines = log.content.trim().split("\n")
        assert.includeMembers(
          lines,
          [...ran].map((id) => id.slice("run-".length)),
          `${name}: log`,
        )
        const noted = readFileSync(join(counts, name), "utf8").trim().split("\n")
        assert.strictEqual(new Set(noted).size, noted.length, `${name} ran something twice`)
        assert.includeMembers(noted, [...ran])
      }
      assert.lengthOf(readdirSync(counts), workers)
      const running = yield* cluster.sql`SELECT 1 FROM operation WHERE state = 'running'`
      assert.lengthOf(running, 0)
      yield* Leaks.none(cluster)
    }),
  )
})
