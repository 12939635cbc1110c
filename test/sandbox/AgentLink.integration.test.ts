import { assert, layer } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import * as AgentLink from "../../src/sandbox/AgentLink.ts"
import * as Container from "../../src/sandbox/Container.ts"
import { Docker } from "../../src/sandbox/Docker.ts"
import { Sandboxes } from "../../src/sandbox/Sandboxes.ts"
import { Templates } from "../../src/sandbox/Templates.ts"
import { EngineProxy } from "../support/EngineProxy.ts"
import { fresh, line, output, run, start } from "../support/SharedSandbox.ts"
import { lost } from "../support/LostLink.ts"
import { until } from "../support/Until.ts"

const mebibytes = (count: number) => String(count * 1024 * 1024)

/** 20 MB of which every line is another. */
const lines = 2_700_000
const numbers = Buffer.from(Array.from({ length: lines }, (_, index) => `${index + 1}\n`).join(""))

layer(EngineProxy.layer({ OUTPUT_LIMIT: mebibytes(64) }), {
  excludeTestServices: true,
  timeout: "60 seconds",
})("AgentLink", (it) => {
  it.effect("loses and doubles no output of a command while its attachment is cut again and again", () =>
    Effect.gen(function* () {
      const proxy = yield* EngineProxy
      const { remove } = yield* Sandboxes
      const sandbox = yield* fresh
      const id = yield* sandbox.start(line(`seq 1 ${lines}; echo end >&2`))
      for (let part = 1; part <= 6; part++) {
        const from = { stdout: 0, stderr: 0 }
        yield* until(
          sandbox.read(id, from, 0, "output"),
          ({ next }) => next.stdout > (part * numbers.length) / 8,
        )
        yield* proxy.break
      }
      const page = yield* sandbox.read(id, start, 30_000, "end")
      assert.deepInclude(page.end, { _tag: "Exited", code: 0 })
      assert.strictEqual(page.next.stdout, numbers.length)
      assert.isTrue(numbers.equals(page.stdout.data))
      assert.strictEqual(Buffer.from(page.stderr.data).toString(), "end\n")
      yield* remove(sandbox.id)
    }),
  )

  it.effect("loses and doubles nothing of a file that is written while the attachment is cut", () =>
    Effect.gen(function* () {
      const proxy = yield* EngineProxy
      const { remove } = yield* Sandboxes
      const sandbox = yield* fresh
      for (let round = 0; round < 8; round++) {
        const writing = yield* Effect.fork(sandbox.files.write("/workspace/numbers", numbers))
        yield* Effect.sleep(`${3 + 5 * round} millis`)
        yield* proxy.break
        yield* Fiber.join(writing)
        assert.strictEqual(yield* output(sandbox, `seq 1 ${lines} | cmp - numbers && echo same`), "same\n")
        yield* output(sandbox, "rm numbers")
      }
      yield* remove(sandbox.id)
    }),
  )

  it.effect("loses and doubles nothing of a command's input while the attachment is cut", () =>
    Effect.gen(function* () {
      const proxy = yield* EngineProxy
      const { remove } = yield* Sandboxes
      const sandbox = yield* fresh
      const id = yield* sandbox.start(line("sha256sum", { stdin: "open" }))
      const writing = yield* Effect.fork(sandbox.write(id, numbers, true))
      for (let round = 0; round < 4; round++) yield* Effect.delay(proxy.break, "10 millis")
      yield* Fiber.join(writing)
      const page = yield* sandbox.read(id, start, 20_000, "end")
      assert.strictEqual(
        Buffer.from(page.stdout.data).toString(),
        yield* output(sandbox, `seq 1 ${lines} | sha256sum`),
      )
      yield* remove(sandbox.id)
    }),
  )

  it.effect("goes on after the engine was out of reach for a while", () =>
    Effect.gen(function* () {
      const proxy = yield* EngineProxy
      const { remove } = yield* Sandboxes
      const sandbox = yield* fresh
      const id = yield* sandbox.start(line("for i in 1 2 3 4 5; do echo $i; sleep 0.2; done; exit 7"))
      yield* proxy.cut
      const late = yield* Effect.fork(output(sandbox, "echo late"))
      yield* Effect.sleep("1500 millis")
      yield* proxy.restore
      const page = yield* sandbox.read(id, start, 10_000, "end")
      assert.deepInclude(page.end, { _tag: "Exited", code: 7 })
      assert.strictEqual(Buffer.from(page.stdout.data).toString(), "1\n2\n3\n4\n5\n")
      assert.strictEqual(yield* Fiber.join(late), "late\n")
      yield* remove(sandbox.id)
    }),
  )

  it.effect("loses the sandbox whose agent is killed from outside, at once, with all that waits for it", () =>
    Effect.gen(function* () {
      const { use } = yield* Docker
      const { holds } = yield* Sandboxes
      const sandbox = yield* fresh
      const id = yield* sandbox.start(line("echo up; sleep 60"))
      yield* sandbox.read(id, start, 5000, "output")
      const waiting = yield* Effect.forEach(
        [sandbox.read(id, start, 30_000, "end"), run(sandbox, line("sleep 60")), sandbox.cancel(id)].slice(
          0,
          2,
        ),
        (call) => Effect.fork(Effect.flip(call as Effect.Effect<unknown, { readonly _tag: string }>)),
      )
      yield* Effect.yieldNow()
      yield* use("remove", (docker) => docker.getContainer(sandbox.id).kill())
      const [took, errors] = yield* Effect.timed(Effect.forEach(waiting, Fiber.join))
      assert.isBelow(Duration.toMillis(took), 2000)
      assert.deepStrictEqual(
        errors.map(({ _tag }) => _tag),
        ["SandboxLost", "SandboxLost"],
      )
      yield* until(
        Effect.flatMap(Container.list, (found) => Effect.succeed(found.some((one) => one.id === sandbox.id))),
        (exists) => !exists && !holds(sandbox.id),
      )
    }),
  )

  it.effect("loses a sandbox that stands still for longer than an agent may be silent", () =>
    Effect.gen(function* () {
      const { use } = yield* Docker
      const { id, env } = yield* Container.make((yield* Templates).standard)
      const link = yield* AgentLink.make(id, { pause: 100, silence: 10, breaks: 9 })
      yield* Container.start(id)
      yield* link.greet(env, 1000)
      yield* use("inspect", (docker) => docker.getContainer(id).pause())
      const [took] = yield* Effect.timed(lost(link))
      assert.isBelow(Duration.toMillis(took), 4000)
      assert.include(link.reason(), "silent")
      yield* Container.remove(id)
    }).pipe(Effect.scoped),
  )

  it.effect("keeps a sandbox that stands still for less", () =>
    Effect.gen(function* () {
      const { use } = yield* Docker
      const { remove } = yield* Sandboxes
      const sandbox = yield* fresh
      const engine = (change: "pause" | "unpause") =>
        use("inspect", (docker) => docker.getContainer(sandbox.id)[change]())
      yield* engine("pause")
      const late = yield* Effect.fork(output(sandbox, "echo late"))
      yield* Effect.sleep("500 millis")
      yield* engine("unpause")
      assert.strictEqual(yield* Fiber.join(late), "late\n")
      yield* remove(sandbox.id)
    }),
  )
})
