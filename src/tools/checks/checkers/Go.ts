/** Go's own checks: `go vet` for rules, `go build` for types, gofmt for the form. */
import type { Checker } from "../Checker.ts"
import { notFormatted, type RawFinding } from "../Finding.ts"
import type { CheckedProject } from "../CheckedProject.ts"
import { matches, type Written } from "../Written.ts"

const common = {
  language: "Go",
  program: "go",
  isAskedFor: (project: CheckedProject) => project.has("go.mod"),
  isCommon: false,
  install: "Go (a template whose image has it)",
} as const

const places = (output: Written, rule?: string): ReadonlyArray<RawFinding> =>
  matches(output, /^(?:vet: )?([^\s:][^:]*\.go):(\d+)(?::(\d+))?: (.*)$/).map(
    ([, file, line, column, message = ""]) => ({
      file,
      line: Number(line),
      column: Number(column),
      rule,
      severity: "error",
      message,
    }),
  )

export const goVet: Checker = {
  ...common,
  name: "go vet",
  kind: "lint",
  args: ["vet", "./..."],
  read: ({ stderr }) => places(stderr, "vet"),
}

export const goBuild: Checker = {
  ...common,
  name: "go build",
  kind: "types",
  args: ["build", "-gcflags=-e", "-o", "/dev/null", "./..."],
  read: ({ stderr }) => places(stderr),
}

export const gofmt: Checker = {
  ...common,
  name: "gofmt",
  kind: "format",
  program: "gofmt",
  args: ["-l", "."],
  writeArgs: ["-w", "."],
  read: ({ stdout, stderr }) => [
    ...matches(stdout, /^(.+)$/).map((match) => notFormatted(match[1])),
    ...places(stderr),
  ],
}
