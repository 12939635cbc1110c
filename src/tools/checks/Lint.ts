/** Checks a project by its rules. */
import { Effect, Schema } from "effect"
import { ownerTool } from "../Tool.ts"
import { answerOf, checkReport, nothingYet, operationAnswer } from "./CheckReport.ts"
import { check, checkInput, checking } from "./CheckTool.ts"

export const lint = ownerTool({
  name: "lint",
  title: "Lint a project",
  description:
    "Run the linters that the project asks for (ruff, flake8, eslint, biome, oxlint, go vet, clippy; found by its " +
    "files, node_modules/.bin, .venv/bin and PATH). Findings are a normal result with `passed: false`. Changes no file.",
  input: Schema.Struct(checkInput),
  output: Schema.Struct({ ...operationAnswer, ...checkReport }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  ...checking(nothingYet),
  handler: Effect.fnUntraced(function* (input, call) {
    return answerOf(yield* check("lint", input, call), call)
  }),
})
