/** ESLint: rules for JavaScript and TypeScript. (eslint.org, the formatter `json`) */
import { Schema } from "effect"
import type { Checker } from "../Checker.ts"
import { jsonElements } from "../Written.ts"

const Result = Schema.Struct({
  filePath: Schema.String,
  messages: Schema.Array(
    Schema.Struct({
      ruleId: Schema.NullOr(Schema.String),
      /** 1 is a warning. */
      severity: Schema.Literal(1, 2),
      message: Schema.String,
      line: Schema.optional(Schema.NullOr(Schema.Number)),
      column: Schema.optional(Schema.NullOr(Schema.Number)),
    }),
  ),
})

const settings = ["js", "mjs", "cjs", "ts", "mts", "cts"].map((end) => `eslint.config.${end}`)
const olderSettings = ["", ".js", ".cjs", ".json", ".yml", ".yaml"].map((end) => `.eslintrc${end}`)

export const eslint: Checker = {
  name: "eslint",
  kind: "lint",
  language: "JavaScript",
  program: "eslint",
  isAskedFor: (project) =>
    project.has(...settings, ...olderSettings) || project.field("eslintConfig") !== undefined,
  // Without rules it refuses.
  isCommon: false,
  args: ["--format", "json", "."],
  read: ({ stdout }) =>
    jsonElements(stdout, Result).flatMap(({ filePath, messages }) =>
      messages.map(({ ruleId, severity, message, line, column }) => ({
        file: filePath,
        line,
        column,
        rule: ruleId,
        severity: severity === 1 ? ("warning" as const) : ("error" as const),
        message,
      })),
    ),
  install: "the npm package eslint",
}
