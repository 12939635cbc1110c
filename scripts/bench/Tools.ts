/** What tools take, by their handlers on a real sandbox, beside the same work without them. `tools/` has the measurements. */
import { Effect } from "effect"
import { step } from "../process/Progress.ts"
import type { Bench } from "./Bench.ts"
import * as Node from "./sandbox/Node.ts"
import { files } from "./tools/Files.ts"
import { tests } from "./tools/Tests.ts"

export const tools: Bench = {
  name: "tools",
  summary: "coding tools beside the same work by hand: edits and searches among 20,000 files, runs of tests",
  measure: (options) =>
    Effect.gen(function* () {
      const { on } = yield* Node.prepare(options)
      yield* step("Measuring edits and searches …")
      const ofFiles = yield* on()(files)
      yield* step("Measuring runs of tests …")
      return [...ofFiles, ...(yield* on()(tests))]
    }),
}
