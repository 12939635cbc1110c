/** A command that writes 10 GB: what it costs its session, its node and its neighbours. */
import { assert, layer } from "@effect/vitest"
import { Clock, Console, Effect, Fiber } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { exec } from "../../src/tools/commands/Exec.ts"
import { readFile } from "../../src/tools/files/ReadFile.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import { fresh, line, output, run, SharedSandbox, start } from "../support/SharedSandbox.ts"
import { nodesOf, TestCluster } from "../support/TestCluster.ts"

const GiB = 1024 ** 3
const flood = `head -c ${10 * GiB} /dev/zero`

/** Resident memory of a process, now and at its peak since `forgetPeak`, in MiB. */
const resident = (pid: number) => {
  const status = readFileSync(`/proc/${pid}/status`, "utf8")
  const field = (name: string) =>
    Math.round(Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]) / 1024)
  return { now: field("VmRSS"), peak: field("VmHWM") }
}

const forgetPeak = (pid: number) => writeFileSync(`/proc/${pid}/clear_refs`, "5")

const quantiles = (took: ReadonlyArray<number>) => {
  const sorted = [...took].sort((a, b) => a - b)
  const at = (part: number) => sorted[Math.floor(part * (sorted.length - 1))] ?? Infinity
  return { calls: took.length, median: at(0.5), p99: at(0.99), most: at(1) }
}

/** In milliseconds. */
const timed = (call: Effect.Effect<unknown>) =>
  Effect.gen(function* () {
    const before = yield* Clock.currentTimeMillis
    yield* call
    return (yield* Clock.currentTimeMillis) - before
  })

/**
 * Floods, while a neighbour calls again and again; each of those calls must succeed. Asserts that the memory of the
 * process, which serves both, is bounded, and that the neighbour never waits long.
 */
const beside = <A>(what: string, pid: number, neighbour: Effect.Effect<unknown>, flood: Effect.Effect<A>) =>
  Effect.gen(function* () {
    const quiet = yield* Effect.replicateEffect(timed(neighbour), 50)
    forgetPeak(pid)
    const before = resident(pid).now
    const took: Array<number> = []
    const calling = yield* Effect.fork(
      Effect.forever(Effect.map(timed(neighbour), (ms) => void took.push(ms))),
    )
    const began = yield* Clock.currentTimeMillis
    const answer = yield* Effect.raceFirst(flood, Fiber.join(calling))
    const seconds = ((yield* Clock.currentTimeMillis) - began) / 1000
    const { now, peak } = resident(pid)
    yield* Fiber.interrupt(calling)
    yield* Console.log(what, { seconds, quiet: quantiles(quiet), beside: quantiles(took) })
    yield* Console.log(`${what}: the node's memory in MiB`, { before, peak, after: now })
    assert.isBelow(peak - before, 400)
    assert.isAbove(took.length, 10)
    assert.isBelow(quantiles(took).most, 5_000)
    return answer as A
  })

/** Floods a session of a cluster's only node. */
const floodSession = (what: string) =>
  Effect.gen(function* () {
    const cluster = yield* TestCluster
    const [node] = (yield* cluster.state).nodes
    const [client, neighbour] = [yield* cluster.client(), yield* cluster.client()]
    yield* client.ask(writeFile, { path: "kept", content: "kept" })
    const end = yield* beside(
      what,
      node?.pid ?? 0,
      neighbour.ask(exec, { argv: ["true"] }),
      client.ask(exec, { command: flood, timeout_ms: 500_000, wait_ms: 500_000 }, { within: "9 minutes" }),
    )
    assert.strictEqual((yield* client.ask(readFile, { path: "kept" })).content, "kept")
    const after = yield* client.ask(exec, { command: "cat kept; du --bytes --summarize /tmp" })
    assert.match(after.stdout, /^kept\d+\t/)
    // Half of /tmp, which is of 16 MiB.
    assert.isAtMost(Number(/^kept(\d+)/.exec(after.stdout)?.[1]), 9 * 1024 * 1024)
    assert.strictEqual((yield* nodesOf(cluster)).length, 1)
    assert.strictEqual((yield* cluster.state).nodes[0]?.incarnation, node?.incarnation)
    return end
  })

layer(TestCluster.layer({ nodes: 1 }), { excludeTestServices: true, timeout: "60 seconds" })(
  "10 GB of output",
  (it) => {
    it.scoped("end with a sentence that names the limit, and the session goes on", () =>
      Effect.gen(function* () {
        const end = yield* floodSession("to the limit")
        assert.strictEqual(end.signal, "SIGKILL")
        assert.include(end.note, "it wrote more than 1024 MiB (MAX_COMMAND_OUTPUT)")
        assert.isTrue(end.truncated)
        assert.isAtLeast(end.stdout_cursor, GiB)
        assert.isBelow(end.stdout_cursor, GiB + 64 * 1024 * 1024)
      }),
    )
  },
)

layer(TestCluster.layer({ nodes: 1, env: { MAX_COMMAND_OUTPUT: String(20 * GiB) } }), {
  excludeTestServices: true,
  timeout: "60 seconds",
})("10 GB of output below the limit", (it) => {
  it.scoped("are cut to the buffers' bounds where nobody reads them before the end", () =>
    Effect.gen(function* () {
      const end = yield* floodSession("without a reader")
      assert.strictEqual(end.exit_code, 0)
      assert.strictEqual(end.stdout_cursor, 10 * GiB)
      assert.isTrue(end.truncated)
      assert.include(end.stdout, "bytes left out")
      assert.include(end.note, "Longer output than is shown stands in /tmp/command-output/")
    }),
  )
})

layer(SharedSandbox.layerOf({ MAX_COMMAND_OUTPUT: String(20 * GiB) }), {
  excludeTestServices: true,
  timeout: "60 seconds",
})("10 GB of output below the limit", (it) => {
  it.scoped("reach a reader who follows, or are counted as skipped", () =>
    Effect.gen(function* () {
      const [sandbox, neighbour] = [yield* SharedSandbox, yield* fresh]
      yield* sandbox.files.write("/workspace/kept", Buffer.from("kept"))
      const id = yield* sandbox.start(line(flood, { timeoutMs: 500_000 }))
      const follow = Effect.gen(function* () {
        let after = start
        let got = 0
        let skipped = 0
        for (;;) {
          const page = yield* sandbox.read(id, after, 30_000, "output")
          got += page.stdout.data.length
          skipped += page.stdout.skipped
          assert.strictEqual(got + skipped, page.next.stdout)
          if (page.end !== undefined && page.next.stdout === after.stdout)
            return { end: page.end, got, skipped }
          after = page.next
        }
      })
      const { end, got, skipped } = yield* beside(
        "with a reader",
        process.pid,
        Effect.orDie(run(neighbour, { ...line(""), argv: ["true"] })),
        Effect.orDie(follow),
      )
      yield* Console.log(`a reader got ${got} bytes and skipped ${skipped}`)
      assert.strictEqual(end._tag, "Exited")
      assert.strictEqual(got + skipped, 10 * GiB)
      yield* sandbox.forget(id)
      assert.strictEqual(yield* output(sandbox, "cat kept"), "kept")
    }),
  )
})
