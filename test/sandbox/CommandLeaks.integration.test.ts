import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Either } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import type { Sandbox } from "../../src/sandbox/Sandbox.ts"
import { isGvisor } from "../support/Runtime.ts"
import { fresh, line, output, run, SharedSandbox, start } from "../support/SharedSandbox.ts"
import * as TestNode from "../support/TestNode.ts"
import { until } from "../support/Until.ts"

/** Commands under gVisor take some ten times as long. */
const count = (usual: number) => (isGvisor ? usual / 10 : usual)

/** A file of /proc, whose process may end at any time. */
const readProc = (path: string) =>
  Either.getOrElse(
    Either.try(() => readFileSync(path, "utf8")),
    () => "",
  )

/**
 * What the agent has, as its machine sees it: process 1 of the container. None where the engine is on another machine,
 * nor under gVisor, whose processes are not the machine's.
 */
const agentOf = (sandbox: Sandbox) =>
  Effect.sync(() => {
    if (isGvisor) return undefined
    const folder = readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => `/proc/${pid}`)
      .find(
        (folder) =>
          /^NSpid:.*\t1$/m.test(readProc(`${folder}/status`)) &&
          readProc(`${folder}/cgroup`).includes(sandbox.id),
      )
    if (folder === undefined) return undefined
    return {
      descriptors: readdirSync(`${folder}/fd`).length,
      /** In kB. */
      memory: Number(/^VmRSS:\s+(\d+)/m.exec(readProc(`${folder}/status`))?.[1]),
    }
  })

/** Pids and states of all processes in the sandbox but the one that looks. */
const processes = (sandbox: Sandbox) =>
  Effect.map(run(sandbox, { ...line(""), argv: ["ps", "-eo", "pid=,stat=,comm="] }), ({ out }) =>
    out.split("\n").filter((row) => row !== "" && !row.endsWith(" ps")),
  )

/** Runs the lines, 32 at a time, and asserts that nothing is left of them, here or there. */
const leavesNothing = (sandbox: Sandbox, lines: ReadonlyArray<Parameters<Sandbox["start"]>[0]>) =>
  Effect.gen(function* () {
    // What is made at first use is no leak.
    yield* Effect.forEach(lines.slice(0, 50), (spec) => run(sandbox, spec), { concurrency: 8 })
    const before = yield* agentOf(sandbox)
    const own = process.getActiveResourcesInfo().length
    yield* Effect.forEach(lines, (spec) => run(sandbox, spec), { concurrency: 32, discard: true })
    const left = yield* until(processes(sandbox), (left) => left.length === 1)
    assert.match(left[0] ?? "", /^\s*1 /)
    const after = yield* agentOf(sandbox)
    if (before !== undefined && after !== undefined) {
      const { descriptors } = yield* until(
        agentOf(sandbox),
        (now) => now !== undefined && now.descriptors <= before.descriptors,
      ).pipe(Effect.map((now) => now ?? after))
      assert.isAtMost(descriptors, before.descriptors)
      assert.isBelow(after.memory - before.memory, 12_000)
    }
    assert.isAtMost(process.getActiveResourcesInfo().length, own + 5)
  })

layer(SharedSandbox.layer, { excludeTestServices: true, timeout: "60 seconds" })(
  "Commands leave nothing:",
  (it) => {
    it.effect(`${count(2000)} short ones`, () =>
      Effect.gen(function* () {
        const short = (index: number) => ({
          ...line(""),
          argv: index % 2 === 0 ? (["true"] as const) : (["echo", "x"] as const),
        })
        yield* leavesNothing(
          yield* SharedSandbox,
          Array.from({ length: count(2000) }, (_, index) => short(index)),
        )
      }),
    )

    it.effect(`${count(1000)} that each leave a daemon, which ends a little later`, () =>
      Effect.gen(function* () {
        const daemon = { ...line(""), argv: ["sh", "-c", "setsid sleep 0.2 &"] as const }
        yield* leavesNothing(
          yield* SharedSandbox,
          Array.from({ length: count(1000) }, () => daemon),
        )
      }),
    )

    it.effect(
      `${count(200)} with terminals, ${count(200)} that take input, ${count(100)} that cannot be started and ${count(100)} that are killed`,
      () =>
        Effect.gen(function* () {
          const kinds = [
            line("stty size", { tty: true }),
            line("cat", { stdin: "open", timeoutMs: 30 }),
            { ...line(""), argv: ["no-such-program"] as const },
            line("setsid sleep 60 & sleep 60", { timeoutMs: 30 }),
          ]
          const many = [200, 200, 100, 100].flatMap((usual, kind) =>
            Array.from({ length: count(usual) }, () => kinds[kind]!),
          )
          const sandbox = yield* SharedSandbox
          const tolerant: Sandbox = {
            ...sandbox,
            read: (...args) =>
              Effect.catchTag(sandbox.read(...args), "CommandNotStarted", () =>
                sandbox.read(...args).pipe(Effect.orElse(() => Effect.succeed(ended))),
              ),
          }
          yield* leavesNothing(tolerant, many)
        }),
    )

    it.effect("not even a byte for another: a terminal's end is written to no descriptor but its own", () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        const terminals = yield* Effect.fork(
          Effect.forEach(
            Array.from({ length: 300 }),
            () => run(sandbox, line("exit 0", { tty: true, stdin: "open" })),
            { concurrency: 6, discard: true },
          ),
        )
        const pipes = Effect.gen(function* () {
          const id = yield* sandbox.start(line("cat", { stdin: "open" }))
          yield* sandbox.write(id, Buffer.from("own"), false)
          yield* sandbox.read(id, start, 5000, "output")
          yield* sandbox.write(id, Buffer.from(" words"), true)
          const page = yield* sandbox.read(id, start, 5000, "end")
          yield* sandbox.forget(id)
          return Buffer.from(page.stdout.data).toString()
        })
        const heard = yield* Effect.replicateEffect(pipes, 300, { concurrency: 6 })
        assert.deepStrictEqual([...new Set(heard)], ["own words"])
        yield* terminals.await
      }),
    )
  },
)

describe("Commands", () => {
  it.live("refuses commands that its agent has no descriptors for, and goes on", () =>
    Effect.gen(function* () {
      const sandbox = yield* fresh
      yield* sandbox.files.write("/workspace/kept", Buffer.from("kept"))
      const command = run(sandbox, line("sleep 1", { stdin: "open" }))
      const answers = yield* Effect.replicateEffect(Effect.either(command), 60, { concurrency: "unbounded" })
      const refused = answers.flatMap((answer) => (answer._tag === "Left" ? [answer.left] : []))
      assert.isNotEmpty(refused)
      assert.isBelow(refused.length, 60)
      for (const error of refused) {
        assert.strictEqual(error._tag, "CommandNotStarted")
        assert.include(error.message, "SANDBOX_OPEN_FILES")
      }
      assert.strictEqual(yield* output(sandbox, "cat kept"), "kept")
    }).pipe(Effect.provide(TestNode.engine({ SANDBOX_OPEN_FILES: "64" }))),
  )
})

const ended = {
  stdout: { data: Buffer.alloc(0), skipped: 0, skippedAt: 0 },
  stderr: { data: Buffer.alloc(0), skipped: 0, skippedAt: 0 },
  next: start,
  end: undefined,
}
