/** The official conformance suite against three nodes behind a balancer. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import * as Project from "../../scripts/process/Project.ts"
import { TestCluster } from "../support/TestCluster.ts"
import { bundled } from "../support/TestProgram.ts"

interface Check {
  readonly id: string
  readonly status: "SUCCESS" | "FAILURE" | "WARNING" | "INFO" | "SKIPPED"
  readonly errorMessage?: string
}

const scratch = mkdtempSync(join(Project.generated, "conformance-"))

/** Runs the suite, and gives the checks of each scenario. */
const suite = (url: string) =>
  Effect.async<ReadonlyMap<string, ReadonlyArray<Check>>>((resume) => {
    const main = join(Project.root, "node_modules/@modelcontextprotocol/conformance/dist/index.js")
    const shim = join(Project.root, "test/support/conformance/shim.mjs")
    const args = ["--import", shim, main, "server", "--url", url, "--suite", "all", "-o", scratch]
    const child = execFile(process.execPath, args, { cwd: scratch, maxBuffer: 64 * 1024 * 1024 }, () =>
      resume(
        Effect.sync(() => {
          const folders = readdirSync(scratch).filter((name) => name.startsWith("server-"))
          return new Map(
            folders.map((name) => [
              name,
              JSON.parse(readFileSync(join(scratch, name, "checks.json"), "utf8")) as ReadonlyArray<Check>,
            ]),
          )
        }),
      ),
    )
    return Effect.sync(() => child.kill())
  })

layer(TestCluster.layer({ nodes: 3, program: bundled("conformance/main.ts") }), {
  excludeTestServices: true,
  timeout: "90 seconds",
})("The conformance suite", (it) => {
  it.scoped("finds no failure in its 32 scenarios", () =>
    Effect.gen(function* () {
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(scratch, { recursive: true })))
      const { mcpUrl } = yield* TestCluster
      const scenarios = yield* suite(mcpUrl)
      assert.strictEqual(scenarios.size, 32)
      for (const [name, checks] of scenarios) {
        assert.isNotEmpty(checks, name)
        for (const { id, status, errorMessage } of checks) {
          assert.notStrictEqual(status, "FAILURE", `${name}: ${id}: ${errorMessage}`)
          assert.notStrictEqual(status, "WARNING", `${name}: ${id}: ${errorMessage}`)
        }
      }
    }),
  )
})
