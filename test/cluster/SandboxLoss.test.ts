/** Sandboxes that end behind their node's back, at rest and at work. */
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import type { ContainerId } from "../../src/domain/Identity.ts"
import { Docker } from "../../src/sandbox/Docker.ts"
import { exec } from "../../src/tools/commands/Exec.ts"
import { readFile } from "../../src/tools/files/ReadFile.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import * as Leaks from "../support/Leaks.ts"
import { TestCluster } from "../support/TestCluster.ts"
import { until } from "../support/Until.ts"

const removed = (id: ContainerId) =>
  Effect.flatMap(Docker, ({ use }) =>
    use("remove", (docker) => docker.getContainer(id).remove({ force: true, v: true })),
  )

/** Its agent is its process 1, which only the engine's machine can kill. */
const killed = (id: ContainerId) =>
  Effect.flatMap(Docker, ({ use }) => use("remove", (docker) => docker.getContainer(id).kill()))

const ends = { "its agent is killed": killed, "it is removed": removed }

layer(Layer.merge(TestCluster.layer({ nodes: 2 }), Docker.layer), {
  excludeTestServices: true,
  timeout: "60 seconds",
})("a sandbox that ends unasked", (it) => {
  for (const [what, end] of Object.entries(ends)) {
    it.scoped(`costs the call that runs in it when ${what}, and no file that was saved`, () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        const client = yield* cluster.client()
        yield* client.ask(writeFile, { path: "kept", content: "kept" })
        const only = Effect.map(
          until(cluster.containers, (all) => all.length === 1),
          ([container]) => container!.id,
        )

        const begun = { command: "echo x >> up; sleep 100" }
        const running = yield* Effect.fork(client.refused(exec, begun, { operationId: "at-work" }))
        yield* until(
          Effect.orDie(client.call(readFile, { path: "up" })),
          (reply) => reply._tag === "Output" && reply.output.content.length > 0,
        )
        const first = yield* only
        const before = performance.now()
        yield* end(first)
        const failure = yield* Fiber.join(running)
        assert.strictEqual(failure.code, "sandbox_lost")
        assert.include(failure.next, "Call again")
        // Not what the call had written that was lost with it.
        const { stdout } = yield* client.ask(exec, { command: "ls -A /workspace; cat kept; echo 2 > second" })
        console.log(`${what}: said and gone on after ${Math.round(performance.now() - before)} ms`)
        assert.strictEqual(stdout, "kept\nkept")
        assert.deepStrictEqual(yield* client.refused(exec, begun, { operationId: "at-work" }), failure)

        const second = yield* only
        assert.notStrictEqual(second, first)
        yield* end(second)
        // A call that comes before the loss was noticed meets it, and is told to call again.
        const found = yield* until(
          Effect.orDie(client.call(readFile, { path: "second" })),
          (reply) => reply._tag === "Output" || reply.failure.code !== "sandbox_lost",
        )
        assert.strictEqual(found._tag === "Output" ? found.output.content : found.failure.code, "2\n")
        assert.notStrictEqual(yield* only, second)
        yield* Leaks.none(cluster)
      }),
    )
  }
})
