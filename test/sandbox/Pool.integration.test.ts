import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Layer, Scope } from "effect"
import * as Container from "../../src/sandbox/Container.ts"
import { Docker } from "../../src/sandbox/Docker.ts"
import { Limits } from "../../src/sandbox/Limits.ts"
import { Sandboxes } from "../../src/sandbox/Sandboxes.ts"
import { Templates } from "../../src/sandbox/Templates.ts"
import { processLimit } from "../support/Runtime.ts"
import { fresh, output } from "../support/SharedSandbox.ts"
import * as TestNode from "../support/TestNode.ts"
import { until } from "../support/Until.ts"

const containers = Effect.map(Container.list, (found) => found.map(({ id }) => String(id)))

describe("Sandboxes with a pool", () => {
  const pooled = { POOL_MIN: "2", POOL_MAX: "4" }
  const status = (name = "default") =>
    Effect.flatMap(Sandboxes, ({ pools }) => Effect.map(pools, (all) => all.get(name)))
  const full = (size: number, name?: string) => until(status(name), (now) => now?.ready === size)

  it.live("give one that is ready at once, in which everything works, and replace it", () =>
    Effect.gen(function* () {
      yield* full(2)
      const [took, sandbox] = yield* Effect.timed(
        Effect.tap(fresh, (sandbox) => output(sandbox, "echo first")),
      )
      assert.isBelow(Duration.toMillis(took), 250)
      yield* sandbox.files.write("/workspace/a", Buffer.from("x"))
      assert.strictEqual(yield* output(sandbox, "cat a"), "x")
      assert.deepInclude(yield* full(2), { hits: 1, misses: 0 })
      assert.lengthOf(yield* containers, 3)
    }).pipe(Effect.provide(TestNode.engine(pooled))),
  )

  it.live("start more for callers who find none, and have more ready for the next", () =>
    Effect.gen(function* () {
      yield* full(2)
      const made = yield* Effect.replicateEffect(fresh, 4, { concurrency: "unbounded" })
      assert.strictEqual(new Set(made.map(({ id }) => id)).size, 4)
      assert.deepInclude(yield* full(4), { size: 4, hits: 2, misses: 2 })
    }).pipe(Effect.provide(TestNode.engine(pooled))),
  )

  it.live("replace one that is killed while it waits", () =>
    Effect.gen(function* () {
      const { use } = yield* Docker
      yield* full(2)
      const before = yield* containers
      yield* use("remove", (docker) => docker.getContainer(before[0] ?? "none").kill())
      yield* until(containers, (now) => now.length === 2 && !now.includes(before[0] ?? "none"))
      yield* full(2)
      assert.strictEqual(yield* output(yield* fresh, "echo alive"), "alive\n")
    }).pipe(Effect.provide(TestNode.engine(pooled))),
  )

  it.live("give nobody one whose programs stand still, and replace it", () =>
    Effect.gen(function* () {
      const { use } = yield* Docker
      yield* full(2)
      const [frozen = "none"] = (yield* containers).slice(-1)
      yield* use("inspect", (docker) => docker.getContainer(frozen).pause())
      for (let taken = 0; taken < 2; taken++) {
        const sandbox = yield* fresh
        assert.notStrictEqual(sandbox.id, frozen)
        assert.strictEqual(yield* output(sandbox, "echo alive"), "alive\n")
      }
      // To remove a paused one takes an engine some 10 s under gVisor.
      yield* until(containers, (now) => !now.includes(frozen), "30 seconds")
    }).pipe(Effect.provide(TestNode.engine(pooled))),
  )

  it.live("make room for another template at the cost of those that nobody has asked for", () =>
    Effect.gen(function* () {
      const { make } = yield* Sandboxes
      const { find } = yield* Templates
      yield* full(2)
      const other = yield* find("other")
      const made = yield* Effect.replicateEffect(make(other), 3, { concurrency: "unbounded" })
      assert.lengthOf(made, 3)
      const refused = yield* Effect.timed(Effect.flip(make(other)))
      assert.strictEqual(refused[1]._tag, "Capacity")
      assert.isBelow(Duration.toMillis(refused[0]), 100)
    }).pipe(
      Effect.provide(
        TestNode.engine({
          ...pooled,
          MAX_SANDBOXES: "3",
          TEMPLATES: '{"other": {"env": {"A": "1"}, "pool_max": 0}}',
        }),
      ),
    ),
  )

  it.live("refuse what the node's memory has no room for, and name the setting", () =>
    Effect.gen(function* () {
      yield* fresh
      const error = yield* Effect.flip(fresh)
      assert.strictEqual(error._tag, "Capacity")
      assert.include(error.message, "MAX_MEMORY")
    }).pipe(Effect.provide(TestNode.engine({ MAX_MEMORY: String(500 * 1024 * 1024) }))),
  )

  it.scopedLive("leave none behind, not even one that was just starting", () =>
    Effect.gen(function* () {
      const cluster = `test-${crypto.randomUUID()}`
      const scope = yield* Scope.make()
      const docker = yield* Layer.build(
        Layer.merge(Docker.layer, TestNode.identity({ cluster })).pipe(
          Layer.provideMerge(TestNode.engineSettings()),
        ),
      )
      const node = yield* Layer.buildWithScope(
        Sandboxes.layer.pipe(
          Layer.provide(Layer.merge(Limits.layer, TestNode.network)),
          Layer.provideMerge(Templates.layer),
          Layer.provide(TestNode.engineSettings({ POOL_MIN: "4", POOL_MAX: "8" })),
        ),
        scope,
      ).pipe(Effect.provide(docker))
      yield* Effect.provide(
        until(status(), (now) => (now?.ready ?? 0) > 0),
        node,
      )
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* Effect.provide(containers, docker), [])
    }),
  )
})

describe("A template", () => {
  const settings = {
    TEMPLATES: JSON.stringify({
      own: {
        memory: 64 * 1024 * 1024,
        pids: 50,
        env: { GREETING: "hello", LANG: "C" },
        mounts: [{ source: "/usr", target: "/machine" }],
      },
    }),
  }
  it.live("gives its sandboxes their limits, environment and mounts", () =>
    Effect.gen(function* () {
      const { make } = yield* Sandboxes
      const { find } = yield* Templates
      const sandbox = yield* make(yield* find("own"))
      assert.strictEqual(yield* output(sandbox, 'echo "$GREETING $LANG $HOME"'), "hello C /home/agent\n")
      yield* output(sandbox, "ls -d /machine/bin && ! touch /machine/x 2> /dev/null")
      const { use } = yield* Docker
      const { HostConfig } = yield* use("inspect", (docker) => docker.getContainer(sandbox.id).inspect())
      assert.strictEqual(processLimit(HostConfig), 50)
    }).pipe(Effect.provide(TestNode.engine(settings))),
  )
})
