/** What a checker finds fault with. It comes out of a sandbox: it is bounded here, and else taken as it is. */
import { Schema } from "effect"

export const Severity = Schema.Literal("error", "warning", "info")
export type Severity = typeof Severity.Type

export const Finding = Schema.Struct({
  file: Schema.optional(Schema.String.annotations({ description: "Relative to /workspace." })),
  line: Schema.optional(Schema.Number),
  column: Schema.optional(Schema.Number),
  rule: Schema.optional(Schema.String),
  severity: Severity,
  message: Schema.String,
  checker: Schema.String,
})
export type Finding = typeof Finding.Type

/** As a checker says it: its path is absolute, or relative to the folder it ran in. */
export interface RawFinding {
  readonly file?: string | null | undefined
  readonly line?: number | null | undefined
  readonly column?: number | null | undefined
  readonly rule?: string | null | undefined
  readonly severity: Severity
  readonly message: string
}

/** Of a file that a formatter would change. */
export const notFormatted = (file: string | undefined): RawFinding => ({
  file,
  rule: "format",
  severity: "error",
  message: "not formatted",
})

/** A finding as it is shown, of a checker that ran in this folder. */
export const tidy =
  (checker: string, folder: string) =>
  ({ file, line, column, rule, severity, message }: RawFinding): Finding => ({
    ...(file === undefined || file === null || file === ""
      ? {}
      : { file: short(relative(file, folder), 300) }),
    ...(isPlace(line) ? { line } : {}),
    ...(isPlace(column) ? { column } : {}),
    ...(rule === undefined || rule === null || rule === "" ? {} : { rule: short(rule, 100) }),
    severity,
    message: short(message.trim(), 500),
    checker,
  })

/** The beginning of a text, without what steers a terminal. What is no text, as half a character, is replaced. */
export const short = (text: string, limit: number) =>
  clean(text.length <= limit ? text : `${text.slice(0, limit)}…`)

/** The end of a text, likewise. */
export const ending = (text: string, limit: number) =>
  clean(text.length <= limit ? text : `…${text.slice(text.length - limit)}`)

const clean = (text: string) =>
  Buffer.from(text.replace(/(?![\n\t])\p{Cc}(\[[0-9;]*[A-Za-z])?/gu, "")).toString()

/** Of places in a file, which count from 1. */
const isPlace = (value: number | null | undefined): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value > 0

const relative = (file: string, folder: string) => {
  const path = file.startsWith("/") ? file : `${folder}/${file.replace(/^(\.\/)+/, "")}`
  return path.startsWith("/workspace/") ? path.slice("/workspace/".length) : path
}
