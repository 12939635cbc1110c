/** Black: the form of Python. (black.readthedocs.io) */
import type { Checker } from "../Checker.ts"
import { notFormatted } from "../Finding.ts"
import { matches } from "../Written.ts"

export const black: Checker = {
  name: "black",
  kind: "format",
  language: "Python",
  program: "black",
  isAskedFor: (project) => project.hasTable("tool.black") || project.needs("Python", "black"),
  isCommon: true,
  args: ["--check", "--no-color", "."],
  writeArgs: ["--no-color", "."],
  read: ({ stderr }) => [
    ...matches(stderr, /^would reformat (.+)$/).map((match) => notFormatted(match[1])),
    ...matches(stderr, /^error: cannot (?:format|parse):? (.+?):(?: |(\d+):(\d+)$)(.*)$/).map(
      ([, file, line, column, message]) => ({
        file,
        line: Number(line),
        column: Number(column) + 1,
        severity: "error" as const,
        message: message || "cannot be parsed",
      }),
    ),
  ],
  install: "the pip package black",
}
