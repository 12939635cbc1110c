/** Oxlint: rules for JavaScript and TypeScript. (oxc.rs, the format `json`) */
import { Schema } from "effect"
import type { Checker } from "../Checker.ts"
import { jsonElements } from "../Written.ts"

const Diagnostic = Schema.Struct({
  message: Schema.String,
  code: Schema.optional(Schema.String),
  severity: Schema.String,
  filename: Schema.optional(Schema.String),
  labels: Schema.optional(
    Schema.Array(
      Schema.Struct({
        span: Schema.Struct({
          line: Schema.optional(Schema.Number),
          column: Schema.optional(Schema.Number),
        }),
      }),
    ),
  ),
})

export const oxlint: Checker = {
  name: "oxlint",
  kind: "lint",
  language: "JavaScript",
  program: "oxlint",
  isAskedFor: (project) =>
    project.has(".oxlintrc.json", "oxlint.config.ts", "oxlintrc.json") ||
    project.needs("JavaScript", "oxlint"),
  isCommon: true,
  // It looks into node_modules where no .gitignore names it.
  args: ["--format", "json", "--ignore-pattern", "node_modules/**", "."],
  read: ({ stdout }) =>
    jsonElements(stdout, Diagnostic, "diagnostics").map(({ message, code, severity, filename, labels }) => ({
      file: filename,
      line: labels?.[0]?.span.line,
      column: labels?.[0]?.span.column,
      rule: code,
      severity: severity === "error" ? "error" : severity === "warning" ? "warning" : "info",
      message,
    })),
  install: "the npm package oxlint",
}
