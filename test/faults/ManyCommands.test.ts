/** What thousands of commands leave behind in their sandbox and in the process that asked for them: nothing. */
import { assert, layer } from "@effect/vitest"
import { Console, Effect } from "effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { EventEmitter } from "node:events"
import { Docker } from "../../src/sandbox/Docker.ts"
import type { Sandbox } from "../../src/sandbox/Sandbox.ts"
import { line, run, SharedSandbox } from "../support/SharedSandbox.ts"
import { until } from "../support/Until.ts"

setFlagsFromString("--expose-gc")
const collectGarbage = runInNewContext("gc") as () => void

/** What this process has open and keeps; `listeners` are those of the process and of what it has open. */
const own = Effect.sync(() => {
  collectGarbage()
  const { _getActiveHandles: handles } = process as unknown as {
    readonly _getActiveHandles: () => ReadonlyArray<unknown>
  }
  const emitters = [process, ...handles().filter((handle) => handle instanceof EventEmitter)]
  return {
    descriptors: readdirSync("/proc/self/fd").length,
    resources: process.getActiveResourcesInfo().filter((kind) => kind !== "Timeout").length,
    listeners: emitters.reduce(
      (sum, emitter) =>
        emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name as never), sum),
      0,
    ),
    heapKiB: Math.round(process.memoryUsage().heapUsed / 1024),
  }
})

/** What the agent has, as its machine sees it; none where the engine is on another machine. */
const agentOf = (sandbox: Sandbox) =>
  Effect.gen(function* () {
    const { use } = yield* Docker
    const { State } = yield* use("inspect", (docker) => docker.getContainer(sandbox.id).inspect())
    const folder = `/proc/${State.Pid}`
    if (!existsSync(folder) || !readFileSync(`${folder}/cgroup`, "utf8").includes(sandbox.id)) return none
    return {
      descriptors: readdirSync(`${folder}/fd`).length,
      memoryKiB: Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`${folder}/status`, "utf8"))?.[1]),
    }
  })

const none = { descriptors: 0, memoryKiB: 0 }

/** Processes and zombies besides the agent and the one that looks, and sockets that listen. */
const inside = (sandbox: Sandbox) =>
  Effect.gen(function* () {
    const processes = yield* run(sandbox, { ...line(""), argv: ["ps", "-eo", "pid=,stat=,comm="] })
    const sockets = yield* run(sandbox, { ...line(""), argv: ["cat", "/proc/net/tcp", "/proc/net/unix"] })
    return {
      processes: processes.out
        .split("\n")
        .filter((row) => row !== "" && !row.endsWith(" ps") && !/^\s*1 /.test(row)),
      /** State 0A is LISTEN. */
      listening: sockets.out.split("\n").filter((row) => /^\s*\d+: \S+ \S+ 0A /.test(row)).length,
    }
  })

/** Runs the command so many times; asserts that before is as after. */
const leavesNothing = (times: number, spec: ReturnType<typeof line>, concurrency = 1) =>
  Effect.gen(function* () {
    const sandbox = yield* SharedSandbox
    const once = Effect.map(run(sandbox, spec), ({ code }) => assert.strictEqual(code, 0))
    const repeat = (times: number) => Effect.replicateEffect(once, times, { concurrency, discard: true })
    // What is made at first use is no leak, and the agent's heap takes some 10 MB before it is collected.
    yield* repeat(Math.ceil(0.3 * times))
    const isQuiet = (now: { readonly processes: ReadonlyArray<string>; readonly listening: number }) =>
      now.processes.length === 0 && now.listening === 0
    yield* until(inside(sandbox), isQuiet)
    const before = { agent: yield* agentOf(sandbox), own: yield* own }
    yield* repeat(times)
    yield* until(inside(sandbox), isQuiet)
    const agent = yield* until(agentOf(sandbox), (now) => now.descriptors <= before.agent.descriptors)
    const now = yield* until(
      own,
      (now) =>
        now.descriptors <= before.own.descriptors &&
        now.resources <= before.own.resources &&
        now.listeners <= before.own.listeners,
    )
    yield* Console.log(`${times} commands`, before, { agent, own: now })
    assert.isBelow(agent.memoryKiB - before.agent.memoryKiB, 8 * 1024)
    assert.isBelow(now.heapKiB - before.own.heapKiB, 2 * 1024)
  })

/** Leaves a daemon that listens for a while. */
const server = (seconds: number) =>
  line(
    `setsid perl -MSocket -e 'socket(S, PF_INET, SOCK_STREAM, 0); listen(S, 1); select(undef, undef, undef, ${seconds})' &`,
  )

layer(SharedSandbox.layer, { excludeTestServices: true, timeout: "60 seconds" })(
  "Commands leave no zombie, descriptor, listener or memory behind:",
  (it) => {
    it.effect("10,000 short ones in a row", () => leavesNothing(10_000, { ...line(""), argv: ["echo", "x"] }))

    it.effect("1,000 that each leave a server, which ends a little later", () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        yield* run(sandbox, server(2))
        yield* until(inside(sandbox), ({ processes, listening }) => processes.length === 1 && listening === 1)
        yield* leavesNothing(1000, server(0.2), 16)
      }),
    )
  },
)
