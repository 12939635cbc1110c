/** Real suites with known failures, by the runners that the default image has. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Sandbox } from "../../../src/sandbox/Sandbox.ts"
import { runFailedTests } from "../../../src/tools/tests/RunFailedTests.ts"
import { runTests } from "../../../src/tools/tests/RunTests.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"
import { output, SharedSandbox } from "../../support/SharedSandbox.ts"
import * as Expected from "./Expected.ts"
import * as Golden from "./Golden.ts"

const projects = [
  { name: "pytest", expected: Expected.pytest, request: {} },
  { name: "unittest", expected: Expected.unittest, request: { runner: "unittest" } },
  { name: "node", expected: Expected.node, request: {} },
] as const

const write = (sandbox: Sandbox, path: string, text: string) =>
  sandbox.files.write(`/workspace/${path}`, Buffer.from(text))

const ask = (sandbox: Sandbox, input: Parameters<typeof runTests.handler>[0]) =>
  runTests.handler(input, FakeSandbox.call(Effect.succeed(sandbox)))

layer(SharedSandbox.layer, { excludeTestServices: true })("RunTests", (it) => {
  for (const { expected, name, request } of projects) {
    it.effect(`names exactly what fails under ${name}, and repeats that and no more`, () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        yield* Golden.place(sandbox, name)
        yield* Golden.check(sandbox, name, expected, request)
      }),
    )
  }

  it.effect(
    "remembers what failed in HOME, repeats it with what could not start, and forgets what passes",
    () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        const again = runFailedTests.handler({}, FakeSandbox.call(Effect.succeed(sandbox)))
        yield* write(sandbox, "again/test_a.py", "def test_1(): assert 1 == 2\ndef test_2(): pass\n")
        yield* write(sandbox, "again/test_b.py", "import nothing\ndef test_3(): pass\n")
        const first = yield* ask(sandbox, { cwd: "again", args: ["-v"] })
        assert.deepStrictEqual(first.counts, { passed: 1, failed: 1, skipped: 0, errors: 1 })
        assert.match(first.verdict, /^FAILED \(pytest\): 1 passed, 1 failed, 1 error in [\d.]+ s$/)
        assert.include(yield* output(sandbox, "cat ~/.codegen-mcp/failed-tests.json"), "test_a.py::test_1")
        yield* write(sandbox, "again/test_b.py", "def test_3(): pass\n")
        const second = yield* again
        assert.deepStrictEqual(second.counts, { passed: 1, failed: 1, skipped: 0, errors: 0 })
        assert.deepStrictEqual(
          second.failures.map(({ id }) => id),
          ["test_a.py::test_1"],
        )
        yield* write(sandbox, "again/test_a.py", "def test_1(): assert 2 == 2\ndef test_2(): pass\n")
        const third = yield* again
        assert.isTrue(third.passed)
        assert.deepStrictEqual(third.counts, { passed: 1, failed: 0, skipped: 0, errors: 0 })
        assert.strictEqual((yield* Effect.flip(again))._tag, "NothingFailed")
      }),
  )

  it.effect("narrows by file and by name, which no runner takes for an option or a pattern", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      yield* write(
        sandbox,
        "narrow/-x/test_x.py",
        "import pytest\n@pytest.mark.parametrize('a', ['[+', 'b'])\ndef test_p(a): pass\n",
      )
      yield* write(
        sandbox,
        "narrow/k.test.mjs",
        "import { test } from 'node:test'\ntest('a.b (c)', () => {})\ntest('a+b', () => {})\n",
      )
      const ran = (input: object) =>
        Effect.map(ask(sandbox, { cwd: "narrow", ...input }), ({ counts }) => counts?.passed)
      assert.strictEqual(yield* ran({ path: "-x/test_x.py" }), 2)
      assert.strictEqual(yield* ran({ path: "-x/test_x.py", name: "[[+]" }), 1)
      assert.strictEqual(yield* ran({ path: "k.test.mjs" }), 2)
      assert.strictEqual(yield* ran({ path: "/workspace/narrow/k.test.mjs", name: "a.b (c)" }), 1)
      const wrong = yield* ask(sandbox, { cwd: "narrow", path: "test_y.py" })
      assert.isFalse(wrong.passed)
      assert.match(wrong.errors[0]?.message ?? "", /not found: test_y.py/)
      assert.strictEqual(
        (yield* Effect.flip(ask(sandbox, { cwd: "narrow", runner: "go" })))._tag,
        "RunnerMissing",
      )
      assert.strictEqual(
        (yield* Effect.flip(ask(sandbox, { cwd: "narrow", path: "-x/test_x.py", only_changed: true })))._tag,
        "ChangesUnknown",
      )
      yield* write(sandbox, "empty/notes.txt", "")
      assert.strictEqual((yield* Effect.flip(ask(sandbox, { cwd: "empty" })))._tag, "NoTests")
    }),
  )

  it.effect(
    "of tests that never end tells how many have, says what failed until then, and leaves nothing behind",
    () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        yield* write(
          sandbox,
          "endless/test_e.py",
          "import time\ndef test_1(): assert 0\ndef test_2(): time.sleep(600)\n",
        )
        const told: Array<string | undefined> = []
        const call = FakeSandbox.call(Effect.succeed(sandbox))
        const answer = yield* runTests.handler(
          { cwd: "endless", timeout_ms: 8000 },
          { ...call, progress: ({ message }) => told.push(message) },
        )
        assert.include(told, "1 of 2 tests, 1 failed")
        assert.strictEqual(answer.status, "timed_out")
        assert.isFalse(answer.passed)
        assert.deepStrictEqual(
          answer.failures.map(({ id }) => id),
          ["test_e.py::test_1"],
        )
        assert.strictEqual(
          yield* output(sandbox, "ls -d /tmp/codegen-mcp-tests-* 2>/dev/null | wc -l"),
          "0\n",
        )
      }),
  )

  it.effect("makes a report of many megabytes an answer that still names every failure", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const test =
        "import pytest\n@pytest.mark.parametrize('n', range(130))\ndef test_loud(n):\n    print('x' * 100_000)\n    assert 0, 'y' * 100_000\n"
      yield* write(sandbox, "loud/test_loud.py", test)
      const answer = yield* ask(sandbox, { cwd: "loud", args: ["--junitxml=report.xml"] })
      assert.isBelow(JSON.stringify(answer).length, 37_000)
      assert.deepStrictEqual(
        answer.failures.map(({ id }) => id),
        Array.from({ length: 130 }, (_, n) => `test_loud.py::test_loud[${n}]`),
      )
      assert.strictEqual(answer.failures[129]?.line, 5)
      assert.match(answer.note ?? "", /Only the beginnings of messages/)
      const size = Number(yield* output(sandbox, "stat -c %s loud/report.xml"))
      assert.isAbove(size, 13_000_000)
      const read = yield* ask(sandbox, { junit: "loud/*.xml" })
      assert.deepStrictEqual(read.counts, answer.counts)
      assert.strictEqual(new Set(read.failures.map(({ id }) => id)).size, 130)
      assert.isBelow(JSON.stringify(read).length, 37_000)
    }),
  )
})
