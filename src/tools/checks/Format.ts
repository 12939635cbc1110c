/** Checks the form of a project's files, or puts them into it. */
import { Effect, Schema } from "effect"
import { optional, ownerTool } from "../Tool.ts"
import { answerOf, checkReport, nothingYet, operationAnswer } from "./CheckReport.ts"
import { check, checkInput, checking } from "./CheckTool.ts"
import { within } from "../Room.ts"

export const format = ownerTool({
  name: "format",
  title: "Format a project",
  description:
    "Check the project's format with its formatters (ruff, black, biome, prettier, gofmt, rustfmt), or with `write` put " +
    "its files into that format. As `lint` otherwise.",
  input: Schema.Struct({
    ...checkInput,
    write: optional(
      Schema.Boolean.annotations({
        description: "Change the files; otherwise they are only named.",
      }),
    ),
  }),
  output: Schema.Struct({
    ...operationAnswer,
    ...checkReport,
    formatted: Schema.Array(Schema.String).annotations({
      description: "Files that were changed, as many as there is room for.",
    }),
    formatted_count: Schema.Number,
  }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  ...checking({ ...nothingYet, formatted: [], formatted_count: 0 }),
  handler: Effect.fnUntraced(function* ({ write = false, ...input }, call) {
    const runs = yield* check("format", input, call, write)
    const formatted = runs.flatMap(({ formatted }) => formatted)
    return {
      ...answerOf(runs, call),
      formatted: within(formatted, pathsLimit),
      formatted_count: formatted.length,
    }
  }),
})

/** Characters of the paths of files that were changed. */
const pathsLimit = 6000
