/** Checks the types of a project. */
import { Effect, Schema } from "effect"
import { ownerTool } from "../Tool.ts"
import { answerOf, checkReport, nothingYet, operationAnswer } from "./CheckReport.ts"
import { check, checkInput, checking } from "./CheckTool.ts"

export const typecheck = ownerTool({
  name: "typecheck",
  title: "Check a project's types",
  description:
    "Run the type checkers that the project asks for (mypy, pyright, tsc, go build, cargo check). As `lint` otherwise.",
  input: Schema.Struct(checkInput),
  output: Schema.Struct({ ...operationAnswer, ...checkReport }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  ...checking(nothingYet),
  handler: Effect.fnUntraced(function* (input, call) {
    return answerOf(yield* check("types", input, call), call)
  }),
})
