/** Biome: rules and form of JavaScript, TypeScript, JSON and CSS. (biomejs.dev, the reporter `github`) */
import type { Checker, CheckerOutput } from "../Checker.ts"
import { notFormatted, type RawFinding } from "../Finding.ts"
import type { CheckedProject } from "../CheckedProject.ts"
import { matches } from "../Written.ts"

const common = {
  language: "JavaScript",
  program: "biome",
  isAskedFor: (project: CheckedProject) =>
    project.has("biome.json", "biome.jsonc", ".biome.json", ".biome.jsonc") ||
    project.needs("JavaScript", "@biomejs/biome"),
  isCommon: true,
  install: "the npm package @biomejs/biome",
} as const

const report = ["--reporter=github", "--max-diagnostics=none", "--colors=off"]

/** The reporter for JSON is said to be unstable; this one names the same things, each on a line of its own. */
const read = ({ stdout }: CheckerOutput): ReadonlyArray<RawFinding> =>
  matches(
    stdout,
    /^::(error|warning|notice) title=([^,]*),file=([^,]*),line=(\d+),endLine=\d+,col=(\d+),endColumn=\d+::(.*)$/,
  ).map(([, weight, rule = "", file, line, column, message = ""]) =>
    rule === "format" && weight === "error"
      ? notFormatted(file)
      : {
          file,
          line: Number(line),
          column: Number(column),
          rule,
          severity: weight === "notice" ? "info" : weight === "warning" ? "warning" : "error",
          message,
        },
  )

export const biome: Checker = {
  ...common,
  name: "biome",
  kind: "lint",
  args: ["lint", ...report],
  read,
}

export const biomeFormat: Checker = {
  ...common,
  name: "biome format",
  kind: "format",
  args: ["format", ...report],
  writeArgs: ["format", "--write", ...report],
  read,
}
