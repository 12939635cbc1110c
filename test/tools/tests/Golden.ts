/** Small real projects with known failures, put into a sandbox. */
import { Effect } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { join, relative } from "node:path"
import type { Sandbox } from "../../../src/sandbox/Sandbox.ts"
import { commandsOf } from "../../../src/tools/commands/ToolCommand.ts"
import { runTests, type TestRequest } from "../../../src/tools/tests/TestRun.ts"
import type { TestFailure } from "../../../src/tools/tests/TestReport.ts"
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

/** What a test compares of a failure. */
export const brief = ({ expected, file, got, id, line }: TestFailure) =>
  [id, file, line, expected, got] as const
