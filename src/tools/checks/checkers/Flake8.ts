/** Flake8: rules for Python. (flake8.pycqa.org) */
import type { Checker } from "../Checker.ts"
import { matches } from "../Written.ts"

export const flake8: Checker = {
  name: "flake8",
  kind: "lint",
  language: "Python",
  program: "flake8",
  isAskedFor: (project) =>
    project.has(".flake8") || project.hasTable("flake8") || project.needs("Python", "flake8"),
  isCommon: true,
  args: ["--color=never", "--format=default", "--extend-exclude=.venv,venv,node_modules", "."],
  read: ({ stdout }) =>
    matches(stdout, /^(.+?):(\d+):(\d+): ([A-Z]+\d+) (.*)$/).map(
      ([, file, line, column, rule, message = ""]) => ({
        file,
        line: Number(line),
        column: Number(column),
        rule,
        severity: "error",
        message,
      }),
    ),
  install: "the pip package flake8",
}
