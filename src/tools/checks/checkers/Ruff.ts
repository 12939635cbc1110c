/** Ruff: rules and form of Python. (docs.astral.sh/ruff) */
import { Schema } from "effect"
import type { Checker, CheckerOutput } from "../Checker.ts"
import { notFormatted, type RawFinding } from "../Finding.ts"
import type { CheckedProject } from "../CheckedProject.ts"
import { jsonLines, matches, paragraphs } from "../Written.ts"

const Diagnostic = Schema.Struct({
  filename: Schema.NullOr(Schema.String),
  location: Schema.Struct({ row: Schema.Number, column: Schema.Number }),
  code: Schema.NullOr(Schema.String),
  message: Schema.String,
})

const common = {
  language: "Python",
  program: "ruff",
  isCommon: true,
  // Its cache would stand among the project's files.
  env: { RUFF_NO_CACHE: "true" },
  install: "the pip package ruff",
} as const

const isSetUp = (project: CheckedProject) =>
  project.has("ruff.toml", ".ruff.toml") || project.hasTable("tool.ruff")

export const ruff: Checker = {
  ...common,
  name: "ruff",
  kind: "lint",
  isAskedFor: (project) => isSetUp(project) || project.needs("Python", "ruff"),
  args: ["check", "--no-fix", "--output-format", "json-lines", "."],
  read: ({ stdout }) =>
    jsonLines(stdout, Diagnostic).map(({ filename, location, code, message }) => ({
      file: filename,
      line: location.row,
      column: location.column,
      rule: code,
      severity: "error",
      message,
    })),
}

export const ruffFormat: Checker = {
  ...common,
  name: "ruff format",
  kind: "format",
  isAskedFor: (project) => isSetUp(project) && !project.hasTable("tool.black"),
  args: ["format", "--check", "."],
  writeArgs: ["format", "."],
  read: (output) => [...unformatted(output), ...unreadable(output)],
}

/** Up to 0.14 one line a file on stdout; later a paragraph as of the linter. */
const unformatted = ({ stdout }: CheckerOutput): ReadonlyArray<RawFinding> => [
  ...matches(stdout, /^Would reformat: (.+)$/).map((match) => notFormatted(match[1])),
  ...paragraphs(stdout).map(({ title, ...place }) =>
    title === "unformatted"
      ? notFormatted(place.file)
      : { ...place, rule: title, severity: "error" as const },
  ),
]

const unreadable = ({ stderr }: CheckerOutput): ReadonlyArray<RawFinding> =>
  matches(stderr, /^error: Failed to (?:parse|format) (.+?):(\d+):(\d+): (.*)$/).map(
    ([, file, line, column, message = ""]) => ({
      file,
      line: Number(line),
      column: Number(column),
      severity: "error",
      message,
    }),
  )
