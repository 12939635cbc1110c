import { assert, describe, it } from "@effect/vitest"
import { Collector } from "../../../src/tools/tests/Collector.ts"
import { JUnit } from "../../../src/tools/tests/reports/JUnit.ts"

const read = (text: string, size = 1_000_000) => {
  const collector = new Collector()
  const report = new JUnit(collector)
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += size) report.push(bytes.subarray(at, at + size))
  report.end()
  return { ...collector, counts: collector.counts, durationMs: report.durationMs }
}

const pytest = `<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest" errors="0" failures="1" tests="3">
<testcase classname="tests.test_a.TestB" name="test_c[&lt;ü&gt;]" time="0.25"><failure message="AssertionError: no&#10;assert 1 == 2">def test_c():
&gt;       assert 1 == 2
E       assert 1 == 2

tests/test_a.py:12: AssertionError</failure></testcase>
<testcase classname="tests.test_a" name="test_d" time="0.5" />
<!-- a > comment --><testcase classname="tests.test_a" name="test_e"><skipped type="pytest.skip" message="later">x</skipped></testcase>
</testsuite></testsuites>`

const surefire = `<testsuite name="org.Shop" file="src/Shop.java"><properties><property name="a" value="b"/></properties>
<testcase name='adds' classname='org.Shop' time='1'><system-out><![CDATA[</testcase> & noise]]></system-out>
<error type="java.lang.NullPointerException"><![CDATA[at org.Shop.add(Shop.java:7)
expected: <3> but was: <4>]]></error><failure message="second"/></testcase></testsuite>`

describe("JUnit", () => {
  for (const size of [1_000_000, 7, 1]) {
    it(`reads pytest's report, in pieces of ${size} bytes`, () => {
      const { counts, durationMs, errors, failures } = read(pytest, size)
      assert.deepStrictEqual(counts, { passed: 1, failed: 1, skipped: 1, errors: 0 })
      assert.strictEqual(durationMs, 750)
      assert.lengthOf(errors, 0)
      assert.lengthOf(failures, 1)
      const [{ trace, ...failure } = { trace: "" }] = failures
      assert.deepStrictEqual(failure, {
        id: "tests.test_a.TestB > test_c[<ü>]",
        file: "tests/test_a.py",
        line: 12,
        message: "AssertionError: no\nassert 1 == 2",
        expected: "2",
        got: "1",
      })
      assert.include(trace, ">       assert 1 == 2")
    })

    it(`reads surefire's report, in pieces of ${size} bytes`, () => {
      const { counts, failures } = read(surefire, size)
      assert.deepStrictEqual(counts, { passed: 0, failed: 0, skipped: 0, errors: 1 })
      assert.deepInclude(failures[0], {
        id: "org.Shop > adds",
        message: "java.lang.NullPointerException",
        expected: "3",
        got: "4",
      })
    })
  }

  it("keeps what stands before a report breaks off, and says that it does", () => {
    const { counts, errors } = read(pytest.slice(0, -60))
    assert.deepStrictEqual(counts, { passed: 1, failed: 1, skipped: 0, errors: 1 })
    assert.match(errors[0]?.message ?? "", /not whole/)
  })

  for (const [what, text] of [
    [
      "a document type, with entities that multiply",
      `<!DOCTYPE a [<!ENTITY b "${"x".repeat(100)}"><!ENTITY c "&b;&b;">]><testsuite><testcase name="&c;"/></testsuite>`,
    ],
    ["a name without end", `<testsuite><${"a".repeat(1_000_000)}`],
    ["text that is no XML", "FAILED tests/test_a.py"],
    ["a quote that is missing", "<testsuite name=x><testcase/></testsuite>"],
    ["ends without beginnings", "</testsuite></testsuite>"],
    ["nothing", "<"],
  ] as const) {
    it(`makes no test of ${what}`, () => {
      const { counts } = read(text, 1000)
      assert.deepStrictEqual({ ...counts, errors: 0 }, { passed: 0, failed: 0, skipped: 0, errors: 0 })
    })
  }

  it("expands no entity but XML's own", () => {
    const { failures } = read(`<testcase name="&a;&#x41;&#1114112;&#55296;&amp;lt;"><failure/></testcase>`)
    assert.strictEqual(failures[0]?.id, "&a;A&#1114112;&#55296;&lt;")
  })

  it("takes time that grows with the report's length alone, and keeps a bounded part", () => {
    const pieces = [
      "&".repeat(1000),
      `<testcase name="${"a.b:1 ".repeat(2000)}"><failure message="${"= = got ".repeat(1000)}">${"a.js:1\n".repeat(1000)}`,
      "<".repeat(1000),
      "<a ".repeat(300),
      `<a ${'b="c" '.repeat(500)}>`,
      "]]>-->?>".repeat(200),
    ]
    for (const piece of pieces) {
      const collector = new Collector()
      const report = new JUnit(collector)
      const started = performance.now()
      const bytes = Buffer.from(piece)
      for (let size = 0; size < 2_000_000; size += bytes.length) report.push(bytes)
      report.end()
      assert.isBelow(performance.now() - started, 4000, piece.slice(0, 20))
      assert.isBelow(JSON.stringify([collector.failures, collector.errors]).length, 9_000_000)
    }
  })
})
