/** Real suites with known failures, by the runners that the default image has. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { SharedSandbox } from "../../support/SharedSandbox.ts"
import * as Golden from "./Golden.ts"

layer(SharedSandbox.layer, { excludeTestServices: true })("RunTests", (it) => {
  it.effect("names exactly what fails under pytest, with file, line, expected and got", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      yield* Golden.place(sandbox, "pytest")
      const report = yield* Golden.run(sandbox, "pytest")
      assert.strictEqual(report.runner, "pytest")
      assert.strictEqual(report.status, "finished")
      assert.isFalse(report.passed)
      assert.deepStrictEqual(report.counts, { passed: 2, failed: 3, skipped: 2, errors: 3 })
      assert.deepStrictEqual(report.failures.map(Golden.brief), [
        ["tests/test_prices.py::test_discount", "tests/test_prices.py", 11, "90", "0"],
        ["tests/test_prices.py::test_parse[two]", "shop/prices.py", 10, undefined, undefined],
        ["tests/test_prices.py::test_stored", "tests/test_prices.py", 21, undefined, undefined],
        [
          "tests/test_prices.py::TestReceipt::test_lines",
          "tests/test_prices.py",
          40,
          "['a', 'c']",
          "['a', 'b']",
        ],
      ])
      assert.match(report.failures[1]?.message ?? "", /^ValueError: invalid literal for int/)
      assert.match(report.failures[2]?.message ?? "", /^setup: RuntimeError: no database/)
      assert.deepStrictEqual(
        report.errors.map(({ file, line, message }) => [file, line, message]),
        [
          ["tests/test_broken.py", 1, "ModuleNotFoundError: No module named 'no_such_module'"],
          ["tests/test_typo.py", 1, "SyntaxError: invalid syntax"],
        ],
      )
    }),
  )
})
