/** What the nodes of a test run in place of the product, for as long as the test's scope is open. */
import { Effect } from "effect"
import { build } from "esbuild"
import { mkdtempSync, rmSync } from "node:fs"
import { join } from "node:path"
import * as Project from "../../scripts/process/Project.ts"

/** Bundles a file below test/support, and gives the program. */
export const bundled = (entry: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const folder = mkdtempSync(join(Project.generated, "program-"))
      const program = join(folder, "node.mjs")
      await build({
        entryPoints: [join(Project.root, "test/support", entry)],
        outfile: program,
        bundle: true,
        packages: "external",
        format: "esm",
        platform: "node",
        target: "node20",
        logLevel: "warning",
      })
      return { folder, program }
    }),
    ({ folder }) => Effect.sync(() => rmSync(folder, { recursive: true, force: true })),
  ).pipe(Effect.map(({ program }) => program))
