import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Templates, totalMemory } from "../../src/sandbox/Templates.ts"
import * as TestNode from "../support/TestNode.ts"

const templates = (values: Readonly<Record<string, string>>) =>
  Effect.provide(Templates, Templates.layer.pipe(Layer.provide(TestNode.settings(values))))

const configured = (all: unknown) => templates({ TEMPLATES: JSON.stringify(all) })

const MiB = 1024 * 1024

describe("Templates", () => {
  it.effect("offers the one that the settings make, by the name `default`", () =>
    Effect.gen(function* () {
      const { all, find, standard } = yield* templates({
        SANDBOX_IMAGE: "mine",
        SANDBOX_MEMORY: String(300 * MiB),
        SANDBOX_CPUS: "1.5",
        POOL_MIN: "2",
        POOL_MAX: "7",
      })
      assert.deepStrictEqual(all, [standard])
      assert.strictEqual(yield* find("default"), standard)
      assert.deepInclude(standard, {
        name: "default",
        image: "mine",
        runtime: undefined,
        memory: 300 * MiB,
        cpus: 1.5,
        env: {},
        mounts: [],
        pool: { least: 2, most: 7 },
      })
    }),
  )

  it.effect("offers those of TEMPLATES, which are as `default` in what they leave out", () =>
    Effect.gen(function* () {
      const { all, find, standard } = yield* configured({
        small: { memory: 64 * MiB, open_files: 99 },
        own: {
          image: "other",
          runtime: "runsc",
          env: { GREETING: "hello" },
          mounts: [{ source: "/srv/data", target: "/data" }],
        },
      })
      assert.deepStrictEqual(
        all.map(({ name }) => name),
        ["default", "small", "own"],
      )
      assert.deepStrictEqual(yield* find("small"), {
        ...standard,
        name: "small",
        memory: 64 * MiB,
        openFiles: 99,
        pool: { least: 0, most: standard.pool.most },
      })
      assert.deepInclude(yield* find("own"), {
        image: "other",
        runtime: "runsc",
        env: { GREETING: "hello" },
        mounts: [{ source: "/srv/data", target: "/data", read_only: true }],
        memory: standard.memory,
      })
      assert.deepStrictEqual(
        (yield* Effect.flip(find("none"))).known,
        all.map(({ name }) => name),
      )
    }),
  )

  it.effect("keeps none of another template ready before it is asked for, unless it says so", () =>
    Effect.gen(function* () {
      const { find } = yield* configured({ rare: {}, busy: { pool_min: 6 }, capped: { pool_max: 1 } })
      assert.deepStrictEqual((yield* find("rare")).pool, { least: 0, most: 4 })
      assert.deepStrictEqual((yield* find("busy")).pool, { least: 6, most: 6 })
      assert.deepStrictEqual((yield* find("capped")).pool, { least: 0, most: 1 })
    }),
  )

  it.effect("counts what stands in memory beside the programs", () =>
    Effect.gen(function* () {
      const { standard } = yield* templates({})
      const { memory, workspace, home, tmp } = standard
      assert.strictEqual(totalMemory(standard), memory + workspace + home + tmp + 16 * MiB)
      assert.strictEqual(totalMemory({ ...standard, medium: "disk" }), memory + tmp + 16 * MiB)
    }),
  )

  for (const [what, text] of [
    ["no JSON", "{"],
    ["a list", "[]"],
    ["a name that is none", '{"A b": {}}'],
    ["a size that is none", '{"a": {"memory": "1 GB"}}'],
    ["no memory", '{"a": {"memory": 0}}'],
    ["too few processes", '{"a": {"pids": 3}}'],
    ["a relative mount", '{"a": {"mounts": [{"source": "data", "target": "/data"}]}}'],
    ["an environment that is none", '{"a": {"env": {"1A": "x"}}}'],
    ["a medium that is none", '{"a": {"medium": "tape"}}'],
    ["a field that there is not", '{"a": {"memroy": 5}}'],
    ["another `default`", '{"default": {"memory": 5}}'],
  ] as const) {
    it.effect(`refuses ${what}, and names TEMPLATES`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(templates({ TEMPLATES: text }))
        assert.include(String(error), "TEMPLATES")
      }),
    )
  }
})
