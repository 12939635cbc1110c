/** What a node leaves on its machine when it stops and when it is killed: nothing, once another has cleaned up. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer } from "effect"
import { readdirSync } from "node:fs"
import { closeSession } from "../../src/tools/sessions/CloseSession.ts"
import { exec } from "../../src/tools/commands/Exec.ts"
import { openSession } from "../../src/tools/sessions/OpenSession.ts"
import { readFile } from "../../src/tools/files/ReadFile.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import type { TestClient } from "../support/Client.ts"
import { nodesOf, sessionOwnedBy, settled, TestCluster } from "../support/TestCluster.ts"
import * as Traces from "../support/Traces.ts"
import { until } from "../support/Until.ts"

const MiB = 1024 * 1024

/** Of each template, one sandbox waits. */
const pooled = 2

const settings = (disks: string) => ({
  DISK_DIR: disks,
  POOL_MIN: "1",
  POOL_MAX: "1",
  TEMPLATES: JSON.stringify({
    disk: { medium: "disk", workspace: 32 * MiB, home: 16 * MiB, pool_min: 1, pool_max: 1 },
  }),
  SHUTDOWN_TIMEOUT: "10 seconds",
  // Connections that a client keeps are not what is looked for.
  KEEP_ALIVE: "1 seconds",
})

const clusterOf = (env: Readonly<Record<string, string>>) =>
  Effect.map(Layer.build(TestCluster.layer({ nodes: 1, env })), Context.get(TestCluster))

const descriptorsOf = (pid: number) => readdirSync(`/proc/${pid}/fd`).length

/** Waits until the node has no more descriptors than that. */
const descriptorsComeTo = (pid: number, most: number) =>
  until(
    Effect.sync(() => descriptorsOf(pid)),
    (now) => now <= most,
  )

/** A session in which much happens, and in which a command and two daemons run on at the end; gives the command. */
const busy = (client: TestClient, session: string) =>
  Effect.gen(function* () {
    const at = { session }
    const daemons = "setsid sleep 1000 & (setsid sh -c 'while :; do sleep 0.1; done' > /dev/null 2>&1 &)"
    yield* client.ask(writeFile, { path: "a.txt", content: "a".repeat(MiB) }, at)
    yield* client.ask(exec, { command: daemons }, at)
    const late = yield* client.ask(exec, { command: "setsid sleep 1000 & sleep 1000", timeout_ms: 200 }, at)
    assert.strictEqual(late.status, "timed_out")
    const abandoned = yield* Effect.fork(client.call(exec, { command: "sleep 1000" }, at))
    const running = yield* Effect.fork(client.call(exec, { command: "echo on > up; sleep 1000" }, at))
    yield* until(
      Effect.orDie(client.call(readFile, { path: "up" }, at)),
      (reply) => reply._tag === "Output" && reply.output.content.length > 0,
    )
    yield* Fiber.interrupt(abandoned)
    yield* client.ask(readFile, { path: "a.txt" }, at)
    return running
  })

const opened = (client: TestClient, template: string | undefined) =>
  Effect.map(
    client.ask(openSession, template === undefined ? {} : { template }),
    (session) => session.session_id,
  )

const closed = (client: TestClient, session: string) => client.ask(closeSession, {}, { session })

const kinds = [undefined, "disk", undefined, "disk"]

describe("A node", () => {
  const whereAble = Traces.able ? it.scopedLive : it.scopedLive.skip

  whereAble("that stops leaves nothing on its machine, nor does a session that is closed before", () =>
    Effect.gen(function* () {
      const { disks, traces } = yield* Traces.machine
      // Nobody comes to clean up after it, itself included.
      const cluster = yield* clusterOf({ ...settings(disks), RECONCILE_INTERVAL: "10 minutes" })
      const look = traces(cluster)
      const client = yield* cluster.client()
      const node = (yield* cluster.state).nodes[0]?.pid ?? 0
      yield* Effect.flatMap(opened(client, undefined), (session) =>
        Effect.zipRight(client.ask(exec, { command: "true" }, { session }), closed(client, session)),
      )
      const quiet = yield* until(look, isFilled)
      const descriptors = descriptorsOf(node)

      const sessions = yield* Effect.forEach(kinds, (kind) => opened(client, kind))
      const running = yield* Effect.forEach(sessions, (session) => busy(client, session), { concurrency: 4 })
      assert.lengthOf((yield* look).devices, 2 * (pooled / 2 + 2))
      const [first = "", second = "", third = "", fourth = ""] = sessions
      yield* Effect.forEach([first, second], (session) => closed(client, session), { concurrency: 2 })
      const half = yield* until(look, ({ containers }) => containers.length === pooled + 2)
      assert.lengthOf(half.devices, 4)
      yield* Effect.forEach([third, fourth], (session) => closed(client, session), { concurrency: 2 })
      yield* Effect.forEach(running, Fiber.await)
      const after = yield* until(look, isFilled)
      assert.deepStrictEqual(counts(after), counts(quiet))
      yield* descriptorsComeTo(node, descriptors)

      const open = yield* Effect.forEach(kinds, (kind) => opened(client, kind))
      yield* Effect.forEach(open, (session) => busy(client, session), { concurrency: 4 })
      const before = performance.now()
      yield* cluster.stop("node-1")
      console.log(`SIGTERM to the end of the process: ${Math.round(performance.now() - before)} ms`)
      yield* Traces.comesTo(look, Traces.nothing)
    }),
  )

  whereAble(
    "that is killed as it fills its pool leaves what another node removes, at no cost to that one",
    () =>
      Effect.gen(function* () {
        const { disks, traces } = yield* Traces.machine
        const cluster = yield* clusterOf(settings(disks))
        const look = traces(cluster)
        const [survivor] = (yield* cluster.state).nodes
        const client = yield* cluster.client({ url: `${survivor?.url}/mcp` })
        const before = yield* until(look, isFilled)

        yield* cluster.addNode("victim")
        yield* settled((yield* nodesOf(cluster)).map(({ url }) => url))
        yield* until(look, ({ containers }) => containers.length === 2 * pooled)
        const descriptors = descriptorsOf(survivor?.pid ?? 0)
        const sessions = yield* Effect.forEach(kinds, (kind) => sessionOwnedBy(client, "victim", kind))
        const running = yield* Effect.forEach(sessions, (session) => busy(client, session), {
          concurrency: 4,
        })
        yield* until(
          look,
          ({ containers, images }) => containers.length === 2 * pooled + 4 && images.length === 0,
        )
        const last = yield* sessionOwnedBy(client, "victim", "disk")
        const starting = yield* Effect.fork(client.call(exec, { command: "sleep 1000" }, { session: last }))
        const half = yield* until(look, ({ images }) => images.length > 0)
        const killed = performance.now()
        yield* cluster.kill("victim")
        const left = yield* look
        console.log("killed in the middle:", counts(half), "left:", counts(left))
        for (const kind of ["containers", "volumes", "devices", "processes"] as const) {
          assert.isAbove(left[kind].length, before[kind].length, kind)
        }
        yield* Traces.comesTo(look, before)
        console.log(`kill -9 to the machine as before: ${Math.round(performance.now() - killed)} ms`)
        yield* Effect.forEach([...running, starting], Fiber.await)
        yield* Effect.forEach([...sessions, last], (session) => closed(client, session))
        yield* descriptorsComeTo(survivor?.pid ?? 0, descriptors)
        assert.deepStrictEqual(yield* look, before)
      }),
  )
})

const isFilled = ({ containers, images }: Traces.Traces) =>
  containers.length === pooled && images.length === 0

const counts = (traces: Traces.Traces) =>
  Object.fromEntries(
    Object.entries(traces).map(([kind, all]: [string, ReadonlyArray<string>]) => [kind, all.length]),
  )
