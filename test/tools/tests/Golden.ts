/** Small real projects with known failures, put into a sandbox. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { join, relative } from "node:path"
import type { Sandbox } from "../../../src/sandbox/Sandbox.ts"
import { commandsOf } from "../../../src/tools/commands/ToolCommand.ts"
import type { TestReport } from "../../../src/tools/tests/TestReport.ts"
import { runTests, type TestRequest } from "../../../src/tools/tests/TestRun.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"

const golden = join(import.meta.dirname, "golden")

/** Copies the project of that name to /workspace/NAME. */
export const place = (sandbox: Sandbox, project: string) =>
  Effect.forEach(
    readdirSync(join(golden, project), { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    ),
    ({ name, parentPath }) => {
      const file = join(parentPath, name)
      return sandbox.files.write(`/workspace/${relative(golden, file)}`, readFileSync(file))
    },
    { discard: true },
  )

/** Runs tests of the project of that name. */
export const run = (sandbox: Sandbox, project: string, request: Partial<TestRequest> = {}) => {
  const call = FakeSandbox.call(Effect.succeed(sandbox))
  return runTests(call, commandsOf(call), { cwd: project, timeoutMs: 60_000, ...request })
}

/** What tests compare of a report, in an order of its own. */
export interface Brief {
  readonly counts: TestReport["counts"]
  readonly failures: ReadonlyArray<readonly [string, ...ReadonlyArray<string | number | undefined>]>
  readonly errors: ReadonlyArray<ReadonlyArray<string | number | undefined>>
}

export const briefly = ({
  counts,
  errors,
  failures,
}: Pick<TestReport, "counts" | "errors" | "failures">): Brief => ({
  counts,
  failures: failures
    // Rust numbers the lines of its tests in documents differently from version to version.
    .map(
      ({ expected, file, got, id, line }) =>
        [id, file, / - .* \(line /.test(id) ? undefined : line, expected, got] as const,
    )
    .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  errors: errors
    .map(({ file, line, message }) => [file, line, message.split("\n")[0]])
    .toSorted(([a = "", x = 0], [b = "", y = 0]) => (a < b || (a === b && x < y) ? -1 : 1)),
})

/**
 * Runs the tests of a project, of which exactly this is to be said; then those that failed, which are to fail once more,
 * with up to `spare` tests beside them that pass.
 */
export const check = Effect.fnUntraced(function* (
  sandbox: Sandbox,
  project: string,
  expected: Brief,
  request: Partial<TestRequest> = {},
  spare = 0,
) {
  const report = yield* run(sandbox, project, request)
  assert.deepStrictEqual(briefly(report), expected)
  assert.isFalse(report.passed)
  assert.strictEqual(report.status, "finished")
  const only = report.failures.map(({ id }) => id)
  const runner = report.runner === "junit" ? undefined : report.runner
  const repeated = yield* run(sandbox, project, { runner, only })
  assert.deepStrictEqual(briefly(repeated).failures, expected.failures)
  assert.isAtMost(repeated.counts.passed, spare)
})
