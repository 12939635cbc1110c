/** Programs of the tests' own, for nodes to run. */
import { Effect } from "effect"
import { build } from "esbuild"
import { mkdtempSync, rmSync } from "node:fs"
import { join } from "node:path"
import * as Project from "../../scripts/process/Project.ts"

/** Bundles a source file of this project, and gives the file to run; it is gone when the scope closes. */
export const make = (source: string) =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      // Its packages are found from there.
      Effect.sync(() => mkdtempSync(join(Project.generated, "program-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true })),
    )
    const program = join(folder, "node.mjs")
    yield* Effect.promise(() =>
      build({
        entryPoints: [join(Project.root, source)],
        outfile: program,
        bundle: true,
        packages: "external",
        format: "esm",
        platform: "node",
        target: "node20",
        logLevel: "warning",
      }),
    )
    return program
  })
