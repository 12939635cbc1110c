/** TypeScript's compiler: types. (typescriptlang.org) */
import type { Checker } from "../Checker.ts"
import { matches } from "../Written.ts"

export const tsc: Checker = {
  name: "tsc",
  kind: "types",
  language: "JavaScript",
  program: "tsc",
  isAskedFor: (project) => project.has("tsconfig.json"),
  isCommon: false,
  args: ["--noEmit", "--pretty", "false"],
  read: ({ stdout }) => [
    ...matches(stdout, /^(.+?)\((\d+),(\d+)\): (error|warning) (TS\d+): (.*)$/).map(
      ([, file, line, column, weight, rule, message = ""]) => ({
        file,
        line: Number(line),
        column: Number(column),
        rule,
        severity: weight === "warning" ? ("warning" as const) : ("error" as const),
        message,
      }),
    ),
    ...matches(stdout, /^error (TS\d+): (.*)$/).map(([, rule, message = ""]) => ({
      rule,
      severity: "error" as const,
      message,
    })),
  ],
  install: "the npm package typescript",
}
