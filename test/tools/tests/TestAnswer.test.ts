import { assert, describe, it } from "@effect/vitest"
import { Collector } from "../../../src/tools/tests/Collector.ts"
import { reportOf } from "../../../src/tools/tests/TestEnd.ts"
import { shown } from "../../../src/tools/tests/TestAnswer.ts"
import { pytest } from "../../../src/tools/tests/runners/Pytest.ts"
import { verdictOf } from "../../../src/tools/tests/TestReport.ts"

const limit = 36_000
const usage = { durationMs: 1234, limits: [], spilled: {} }
const silent = { code: 1, stdout: "", stderr: "" }

/** A report of so many failures, each with texts of so many characters. */
const failing = (count: number, size: number, id = (n: number) => `tests/test_a.py::test_${n}`) => {
  const collector = new Collector()
  const text = "é\u0001".repeat(size / 2)
  for (let n = 0; n < count; n++) {
    collector.fail({
      id: id(n),
      file: "tests/test_a.py",
      line: n,
      message: text,
      trace: text.repeat(2),
      expected: text,
      got: text,
    })
  }
  return reportOf(pytest, collector, { _tag: "Exited", code: 1, ...usage }, silent)
}

describe("TestAnswer", () => {
  it("shows what is short in full", () => {
    const { failures, note } = shown(failing(3, 10), limit)
    const text = "é\u0001".repeat(5)
    assert.deepStrictEqual(failures[1], {
      id: "tests/test_a.py::test_1",
      file: "tests/test_a.py",
      line: 1,
      message: text,
      expected: text,
      got: text,
      trace: text.repeat(2),
    })
    assert.isUndefined(note)
  })

  for (const [count, size] of [
    [5, 2000],
    [30, 4000],
    [200, 4000],
    [450, 100_000],
  ] as const) {
    it(`names every one of ${count} failures of ${size} characters below the limit, and says what is cut`, () => {
      const answer = shown(failing(count, size), limit)
      assert.isAtMost(JSON.stringify(answer).length, limit)
      assert.deepStrictEqual(
        answer.failures.map(({ id }) => id),
        Array.from({ length: count }, (_, n) => `tests/test_a.py::test_${n}`),
      )
      assert.match(answer.note ?? "", /cut|shown|left out/)
    })
  }

  it("shortens traces before messages, and those before it leaves them out", () => {
    const lengths = [10, 40, 60, 450].map((count) => {
      const [failure] = shown(failing(count, 1000), limit).failures
      return [failure?.trace, failure?.message].map((text) => text?.length ?? 0)
    })
    for (const [index, [trace = 0, message = 0]] of lengths.entries()) {
      const [traceBefore = Infinity, messageBefore = Infinity] = lengths[index - 1] ?? []
      assert.isAtMost(trace, traceBefore)
      assert.isAtMost(message, messageBefore)
    }
    assert.deepStrictEqual(lengths.at(-1), [0, 0])
    assert.isAbove(lengths[2]?.[1] ?? 0, 0)
  })

  it("names the first where not all names fit, and counts the others", () => {
    for (const count of [3000, 30_000]) {
      const answer = shown(failing(count, 10), limit)
      assert.isAtMost(JSON.stringify(answer).length, limit)
      assert.isAbove(answer.failures.length, 200)
      assert.include(answer.note, `${answer.failures.length} of ${count} failures`)
      assert.strictEqual(answer.counts.failed, count)
    }
  })

  it("stays below the limit whatever ids, notes and errors a report makes up", () => {
    const collector = new Collector()
    for (let n = 0; n < 5000; n++) {
      const long = "\u0000\ud800".repeat(5000)
      collector.error({ suite: long, file: long, line: 1e300, message: long, trace: long })
      collector.fail({ id: long, file: long, message: long })
      collector.note(`${n}${long}`)
    }
    const report = reportOf(pytest, collector, { _tag: "Exited", code: 1, ...usage }, silent)
    assert.isAtMost(JSON.stringify(shown(report, limit)).length, limit)
    assert.strictEqual(report.counts.errors, 5000)
  })
})

describe("The end of a run", () => {
  const end = (code: number, count: (collector: Collector) => void, said = "") => {
    const collector = new Collector()
    count(collector)
    return reportOf(pytest, collector, { _tag: "Exited", code, ...usage }, { code, stdout: said, stderr: "" })
  }

  it("passes only where tests ran, none failed, and the program says so too", () => {
    const fine = end(0, (collector) => collector.count("passed", 2))
    assert.isTrue(fine.passed)
    assert.strictEqual(verdictOf(fine), "PASSED (pytest): 2 passed in 1.2 s")
    const mute = end(3, (collector) => collector.count("passed", 2), "warming up\nSegmentation fault")
    assert.isFalse(mute.passed)
    assert.strictEqual(mute.errors[0]?.message, "pytest failed (exit code 3): Segmentation fault")
    const none = end(0, () => undefined)
    assert.isFalse(none.passed)
    assert.strictEqual(none.errors[0]?.message, "No tests were found.")
    const concerned = reportOf(
      pytest,
      new Collector(),
      { _tag: "Exited", code: 0, ...usage },
      { ...silent, code: 0 },
      true,
    )
    assert.isTrue(concerned.passed)
    const failed = end(0, (collector) => collector.fail({ id: "a", message: "" }))
    assert.isFalse(failed.passed)
    assert.lengthOf(failed.errors, 0)
  })

  it("is told from one that was cut short", () => {
    for (const [_tag, status] of [
      ["TimedOut", "timed_out"],
      ["Cancelled", "cancelled"],
    ] as const) {
      const collector = new Collector()
      collector.count("passed")
      const report = reportOf(pytest, collector, { _tag, ...usage }, { ...silent, code: undefined as never })
      assert.strictEqual(report.status, status)
      assert.isFalse(report.passed)
    }
  })
})
