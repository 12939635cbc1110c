/** Prettier: the form of JavaScript, TypeScript, JSON, CSS, Markdown and more. (prettier.io) */
import type { Checker } from "../Checker.ts"
import { notFormatted } from "../Finding.ts"
import { matches } from "../Written.ts"

const settings = ["", ".json", ".json5", ".yaml", ".yml", ".toml", ".js", ".cjs", ".mjs", ".ts"].map(
  (end) => `.prettierrc${end}`,
)
const modules = ["js", "cjs", "mjs", "ts"].map((end) => `prettier.config.${end}`)

export const prettier: Checker = {
  name: "prettier",
  kind: "format",
  language: "JavaScript",
  program: "prettier",
  isAskedFor: (project) =>
    project.has(...settings, ...modules) ||
    project.field("prettier") !== undefined ||
    project.needs("JavaScript", "prettier"),
  isCommon: true,
  args: ["--list-different", "--no-color", "."],
  writeArgs: ["--write", "--log-level", "warn", "--no-color", "."],
  read: ({ stdout, stderr }) => [
    ...matches(stdout, /^(.+)$/).map((match) => notFormatted(match[1])),
    ...matches(stderr, /^\[error\] ([^:]+): (\w{1,40}Error: .*) \((\d+):(\d+)\)$/).map(
      ([, file, message = "", line, column]) => ({
        file,
        line: Number(line),
        column: Number(column),
        severity: "error" as const,
        message,
      }),
    ),
  ],
  install: "the npm package prettier",
}
