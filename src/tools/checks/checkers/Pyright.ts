/** Pyright: types of Python. (microsoft.github.io/pyright, `--outputjson`) */
import { Schema } from "effect"
import type { Checker } from "../Checker.ts"
import { jsonElements } from "../Written.ts"

const Diagnostic = Schema.Struct({
  file: Schema.String,
  severity: Schema.Literal("error", "warning", "information"),
  message: Schema.String,
  /** Counts from 0. */
  range: Schema.optional(
    Schema.Struct({ start: Schema.Struct({ line: Schema.Number, character: Schema.Number }) }),
  ),
  rule: Schema.optional(Schema.String),
})

export const pyright: Checker = {
  name: "pyright",
  kind: "types",
  language: "Python",
  program: "pyright",
  isAskedFor: (project) =>
    project.has("pyrightconfig.json") ||
    project.hasTable("tool.pyright") ||
    project.needs("Python", "pyright") ||
    project.needs("JavaScript", "pyright"),
  isCommon: true,
  args: ["--outputjson"],
  read: ({ stdout }) =>
    jsonElements(stdout, Diagnostic, "generalDiagnostics").map(
      ({ file, severity, message, range, rule }) => ({
        file,
        ...(range === undefined ? {} : { line: range.start.line + 1, column: range.start.character + 1 }),
        rule,
        severity: severity === "information" ? "info" : severity,
        message,
      }),
    ),
  install: "the npm package pyright",
}
