import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { answerOf } from "../../../src/tools/checks/CheckReport.ts"
import { answerOf as checksAnswerOf } from "../../../src/tools/checks/ChecksReport.ts"
import type { CheckerRun } from "../../../src/tools/checks/CheckRun.ts"
import { ending, type Severity, tidy } from "../../../src/tools/checks/Finding.ts"
import type { StepRun } from "../../../src/tools/checks/Step.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"

const call = FakeSandbox.call(Effect.dieMessage("no sandbox is needed"))

const finding = (severity: Severity, message = "x") =>
  tidy("ruff", "/workspace/p")({ file: "./a.py", line: 1, column: 0, rule: "R1", severity, message })

const runOf = (more: Partial<CheckerRun>): CheckerRun => ({
  checker: "ruff",
  command: "ruff check .",
  status: "passed",
  exitCode: 0,
  durationMs: 5,
  findings: [],
  formatted: [],
  skipped: 0,
  output: "",
  ...more,
})

/** Costs JSON as much as a text can. */
const worst = (length: number) => '"\\'.repeat(length)

describe("Reports of checks", () => {
  it("pass only where every checker did, and say how each went", () => {
    const answer = (...runs: ReadonlyArray<Partial<CheckerRun>>) => answerOf(runs.map(runOf), call)
    assert.deepInclude(answer({ findings: [finding("warning")] }), {
      passed: true,
      status: "finished",
      warnings: 1,
      verdict: "PASSED: ruff passed (1 warning)",
    })
    assert.deepInclude(
      answer({}, { checker: "mypy", status: "failed", findings: [finding("error"), finding("error")] }),
      { passed: false, errors: 2, verdict: "FAILED: ruff passed; mypy failed (2 errors)" },
    )
    assert.isFalse(answer({}, { status: "not_installed", output: "Install it." }).passed)
    assert.isFalse(answer({ status: "broken", output: "why" }).passed)
    assert.deepInclude(answer({}, { status: "timed_out" }), { passed: false, status: "timed_out" })
  })

  it("show errors first, paths from the workspace, and no place that is none", () => {
    const { findings } = answerOf(
      [runOf({ findings: [finding("info"), finding("warning"), finding("error")] })],
      call,
    )
    assert.deepStrictEqual(
      findings.map(({ severity }) => severity),
      ["error", "warning", "info"],
    )
    assert.deepStrictEqual(findings[0], {
      file: "p/a.py",
      line: 1,
      rule: "R1",
      severity: "error",
      message: "x",
      checker: "ruff",
    })
  })

  it("stay short whatever checkers say, and count what they leave out", () => {
    const runs = Array.from({ length: 8 }, (_, index) =>
      runOf({
        checker: `c${index}`,
        command: worst(100),
        status: "failed",
        findings: Array.from({ length: 2000 }, () => finding("error", worst(1000))),
        output: worst(1500),
        skipped: 13_000_000,
      }),
    )
    const answer = answerOf(runs, call)
    assert.isBelow(JSON.stringify(answer).length, 36_000)
    assert.isAbove(answer.findings.length, 3)
    assert.strictEqual(answer.errors, 16_000)
    assert.strictEqual(answer.omitted, 16_000 - answer.findings.length)
    assert.include(answer.note, "c7 wrote 13000000 bytes more than are kept")
  })

  it("of many steps share the room among those that failed, and stay short", () => {
    const step = (index: number): StepRun => ({
      name: worst(20),
      status: "failed",
      durationMs: 1,
      command: worst(5000),
      exitCode: 1,
      ...(index % 2 === 0
        ? { output: ending(worst(10_000), 4000) }
        : {
            checks: [
              runOf({
                status: "failed",
                findings: Array.from({ length: 500 }, () => finding("error", worst(99))),
              }),
            ],
          }),
    })
    const steps = Array.from({ length: 20 }, (_, index) => step(index))
    const answer = checksAnswerOf({ from: ".codegen.yml", steps }, call, undefined)
    assert.isBelow(JSON.stringify(answer).length, 40_000)
    for (const [index, shown] of answer.steps.entries()) {
      const { checks, output } = shown as {
        readonly checks?: { readonly findings: unknown }
        readonly output?: string
      }
      if (index % 2 === 0) assert.isAbove(output?.length ?? 0, 200)
      else assert.isNotEmpty(checks?.findings)
    }
    const one = checksAnswerOf(
      {
        from: "project",
        steps: [
          { ...step(0), name: "a" },
          { name: "b", status: "passed", durationMs: 1 },
        ],
      },
      call,
      undefined,
    )
    assert.strictEqual(one.verdict, "FAILED at a: b passed; a failed")
    assert.isAbove((one.steps[0] as { readonly output?: string }).output?.length ?? 0, 3900)
  })
})
