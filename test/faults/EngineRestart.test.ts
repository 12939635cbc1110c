/** The nodes' Docker engine, which ends with all its containers and starts again. It is one of the test's own. */
import { assert, describe, it } from "@effect/vitest"
import { Config, Context, Effect, Fiber, Layer, Option } from "effect"
import { join } from "node:path"
import * as CurrentEngine from "../../scripts/setup/CurrentEngine.ts"
import * as Engine from "../../scripts/setup/Engine.ts"
import * as Images from "../../scripts/setup/Images.ts"
import * as TemporaryFolder from "../../scripts/setup/TemporaryFolder.ts"
import { exec } from "../../src/tools/commands/Exec.ts"
import { readFile } from "../../src/tools/files/ReadFile.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import { setDockerHost } from "../support/EngineProxy.ts"
import * as Leaks from "../support/Leaks.ts"
import { nodesOf, readiness, TestCluster } from "../support/TestCluster.ts"
import { until } from "../support/Until.ts"

/** What a call may come to while its engine is away. */
const typed = ["success", "sandbox_lost", "sandbox_error", "unavailable"]

/** An engine with the images of the tests, at which every node and test looks from now on. */
const ownEngine = Effect.gen(function* () {
  const folder = yield* TemporaryFolder.make
  const install = yield* Config.withDefault(Config.boolean("TEST_INSTALL"), false)
  const dockerHost = yield* Config.option(Config.string("DOCKER_HOST"))
  const usual = yield* Engine.acquire({ install: false, dockerHost })
  const engine = yield* CurrentEngine.start({ install, folder: join(folder, "engine") })
  for (const image of ["SANDBOX_IMAGE", "AGENT_IMAGE"]) {
    yield* Images.copy(usual, engine, yield* Config.string(image))
  }
  yield* Effect.addFinalizer(() => setDockerHost(Option.getOrUndefined(dockerHost)))
  yield* setDockerHost(engine.environment.DOCKER_HOST)
  return engine
})

describe("A Docker engine", () => {
  const whereAble =
    process.platform === "linux" && process.getuid?.() === 0 ? it.scopedLive : it.scopedLive.skip

  whereAble("that restarts costs its sandboxes, and no file that was acknowledged", () =>
    Effect.gen(function* () {
      const engine = yield* ownEngine
      const cluster = yield* Effect.map(
        Layer.build(TestCluster.layer({ nodes: 2 })),
        Context.get(TestCluster),
      )
      const nodes = yield* nodesOf(cluster)
      const [busy, idle] = [yield* cluster.client(), yield* cluster.client()]
      for (const client of [busy, idle]) yield* client.ask(writeFile, { path: "kept", content: "kept" })
      const running = yield* Effect.fork(
        busy.refused(
          exec,
          { command: "echo x >> up; sleep 100", wait_ms: 60_000 },
          { operationId: "at-work" },
        ),
      )
      yield* until(
        Effect.orDie(busy.call(readFile, { path: "up" })),
        (reply) => reply._tag === "Output" && reply.output.content.length > 0,
      )

      const begin = performance.now()
      const restarting = yield* Effect.fork(engine.restart)
      const ends: Array<string> = []
      let longest = 0
      for (
        let round = 1;
        (yield* Fiber.poll(restarting))._tag === "None" || ends.at(-1) !== "success";
        round++
      ) {
        const from = performance.now()
        ends.push(
          yield* busy.call(exec, { command: `echo ${round} >> log` }, { operationId: `round-${round}` }).pipe(
            Effect.map((reply) => (reply._tag === "Output" ? "success" : reply.failure.code)),
            Effect.catchAll(({ status, message }) => Effect.succeed(String(status ?? message))),
          ),
        )
        longest = Math.max(longest, performance.now() - from)
        assert.isBelow(performance.now() - begin, 120_000, ends.join(" "))
        yield* Effect.sleep("200 millis")
      }
      yield* Fiber.join(restarting)
      console.log(
        `${engine.version} restarted: works again after ${Math.round(performance.now() - begin)} ms,`,
        `longest call ${Math.round(longest)} ms: ${[...new Set(ends)].join(", ")}`,
      )
      assert.includeMembers(typed, ends)
      assert.strictEqual((yield* Fiber.join(running)).code, "sandbox_lost")

      for (const client of [busy, idle]) {
        assert.strictEqual((yield* client.ask(readFile, { path: "kept" })).content, "kept")
      }
      const log = (yield* busy.ask(readFile, { path: "log" })).content.trim().split("\n")
      assert.includeMembers(
        log,
        ends.flatMap((end, index) => (end === "success" ? [String(index + 1)] : [])),
      )
      assert.strictEqual(new Set(log).size, log.length, "nothing ran twice")
      for (const { url } of nodes) yield* until(readiness(url), ({ ready }) => ready)
      yield* Leaks.none(cluster)
    }),
  )
})
