/** Real suites with known failures, by the runners that only the image of docker/runners has. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { output, SharedSandbox } from "../support/SharedSandbox.ts"
import * as Expected from "../tools/tests/Expected.ts"
import * as Golden from "../tools/tests/Golden.ts"

const MiB = 1024 * 1024

/** `spare`: parts of a test that failed cannot be repeated without those that passed. */
const projects = [
  { name: "vitest", expected: Expected.vitest, spare: 0 },
  { name: "jest", expected: Expected.jest, spare: 0 },
  { name: "go", expected: Expected.go, spare: 1 },
  { name: "cargo", expected: Expected.cargo, spare: 0 },
]

const settings = {
  SANDBOX_MEMORY: String(2048 * MiB),
  SANDBOX_WORKSPACE: String(256 * MiB),
  SANDBOX_HOME: String(256 * MiB),
  SANDBOX_TMP: String(256 * MiB),
  SANDBOX_CPUS: "2",
}

layer(SharedSandbox.layerOf(settings), { excludeTestServices: true })("Runners", (it) => {
  for (const { expected, name, spare } of projects) {
    it.effect(`names exactly what fails under ${name}, and repeats that and no more`, () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        yield* Golden.place(sandbox, name)
        yield* Golden.check(sandbox, name, expected, {}, spare)
      }),
    )
  }

  it.effect("tells a project that does not compile from one whose tests fail", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      yield* Golden.place(sandbox, "cargo-broken")
      const report = yield* Golden.run(sandbox, "cargo-broken")
      assert.deepStrictEqual(Golden.briefly(report), Expected.cargoBroken)
    }),
  )

  it.effect("narrows by file and by name", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      for (const { name } of projects) yield* Golden.place(sandbox, name)
      const ran = (project: string, request: Parameters<typeof Golden.run>[2]) =>
        Effect.map(Golden.run(sandbox, project, request), ({ counts: { errors, failed, passed } }) => [
          passed,
          failed,
          errors,
        ])
      assert.deepStrictEqual(yield* ran("vitest", { path: "text.spec.ts", name: "cuts (what" }), [0, 1, 0])
      assert.deepStrictEqual(yield* ran("jest", { path: "cart.test.js" }), [1, 2, 0])
      assert.deepStrictEqual(yield* ran("jest", { path: "cart.test.js", name: "costs nothing" }), [1, 0, 0])
      assert.deepStrictEqual(yield* ran("go", { path: "panics" }), [1, 1, 0])
      assert.deepStrictEqual(yield* ran("go", { path: "shop_test.go", name: "TestFirst" }), [1, 0, 0])
      assert.deepStrictEqual(yield* ran("go", { path: "shop_test.go" }), [2, 2, 0])
      assert.deepStrictEqual(yield* ran("cargo", { path: "tests/whole.rs" }), [1, 1, 0])
      assert.deepStrictEqual(yield* ran("cargo", { path: "src/lib.rs", name: "is_wrong" }), [0, 1, 0])
    }),
  )

  it.effect("runs only the tests that uncommitted changes concern", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      for (const name of ["vitest", "jest"]) {
        yield* Golden.place(sandbox, name)
        yield* output(
          sandbox,
          `cd ${name} && rm -f broken.* typo.* && git init -q && git add . && git -c user.name=a -c user.email=a@b commit -qm 1`,
        )
        const none = yield* Golden.run(sandbox, name, { onlyChanged: true })
        assert.deepStrictEqual([none.passed, none.counts.passed, none.counts.failed], [true, 0, 0], name)
        yield* output(sandbox, `cd ${name} && for f in text.ts cart.js; do [ ! -f $f ] || echo >>$f; done`)
        const some = yield* Golden.run(sandbox, name, { onlyChanged: true })
        assert.strictEqual(some.counts.failed, 2, name)
      }
    }),
  )
})
