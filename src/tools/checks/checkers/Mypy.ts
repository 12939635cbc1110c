/** Mypy: types of Python. (mypy.readthedocs.io, `--output json`) */
import { Schema } from "effect"
import type { Checker } from "../Checker.ts"
import { jsonLines } from "../Written.ts"

const Message = Schema.Struct({
  file: Schema.String,
  line: Schema.Number,
  /** Counts from 0; -1 where there is none. */
  column: Schema.Number,
  message: Schema.String,
  code: Schema.NullOr(Schema.String),
  severity: Schema.Literal("error", "note"),
})

export const mypy: Checker = {
  name: "mypy",
  kind: "types",
  language: "Python",
  program: "mypy",
  isAskedFor: (project) =>
    project.has("mypy.ini", ".mypy.ini") ||
    project.hasTable("tool.mypy") ||
    project.hasTable("mypy") ||
    project.needs("Python", "mypy"),
  isCommon: true,
  args: [
    "--output",
    "json",
    "--cache-dir",
    "/home/agent/.cache/mypy",
    "--exclude",
    "^(\\.?venv|node_modules)/",
    ".",
  ],
  read: ({ stdout }) =>
    jsonLines(stdout, Message).map(({ file, line, column, message, code, severity }) => ({
      file,
      line,
      column: column + 1,
      rule: code,
      severity: severity === "note" ? "info" : "error",
      message,
    })),
  install: "the pip package mypy",
}
