/** Rust's own checks by Cargo: clippy for rules, `cargo check` for types, rustfmt for the form. */
import { Schema } from "effect"
import type { Checker, CheckerOutput } from "../Checker.ts"
import { notFormatted, type RawFinding } from "../Finding.ts"
import type { CheckedProject } from "../CheckedProject.ts"
import { jsonLines, matches, paragraphs } from "../Written.ts"

/** (doc.rust-lang.org/cargo/reference/external-tools.html, "JSON messages") */
const Message = Schema.Struct({
  reason: Schema.Literal("compiler-message"),
  message: Schema.Struct({
    level: Schema.String,
    message: Schema.String,
    code: Schema.NullOr(Schema.Struct({ code: Schema.String })),
    spans: Schema.Array(
      Schema.Struct({
        file_name: Schema.String,
        line_start: Schema.Number,
        column_start: Schema.Number,
        is_primary: Schema.Boolean,
      }),
    ),
  }),
})

const common = {
  language: "Rust",
  isAskedFor: (project: CheckedProject) => project.has("Cargo.toml"),
  isCommon: false,
} as const

/** What is compiled more than once, for tests too, is told of each time. */
const read = ({ stdout }: CheckerOutput): ReadonlyArray<RawFinding> => {
  const found = new Map<string, RawFinding>()
  for (const { message } of jsonLines(stdout, Message)) {
    const place = message.spans.find(({ is_primary }) => is_primary)
    // Sentences that count the others.
    if (place === undefined && message.code === null && message.level !== "error") continue
    const finding: RawFinding = {
      file: place?.file_name,
      line: place?.line_start,
      column: place?.column_start,
      rule: message.code?.code,
      severity: message.level.startsWith("error")
        ? "error"
        : message.level === "warning"
          ? "warning"
          : "info",
      message: message.message,
    }
    found.set(JSON.stringify(finding), finding)
  }
  return [...found.values()]
}

const build = ["--message-format", "json", "--quiet", "--all-targets"]

export const clippy: Checker = {
  ...common,
  name: "clippy",
  kind: "lint",
  program: "cargo-clippy",
  args: ["clippy", ...build],
  read,
  install: "Rust with clippy (a template whose image has it)",
}

export const cargoCheck: Checker = {
  ...common,
  name: "cargo check",
  kind: "types",
  program: "cargo",
  args: ["check", ...build],
  read,
  install: "Rust (a template whose image has it)",
}

export const rustfmt: Checker = {
  ...common,
  name: "rustfmt",
  kind: "format",
  program: "cargo-fmt",
  args: ["fmt", "--all", "--check", "--", "-l", "--color", "never"],
  writeArgs: ["fmt", "--all"],
  read: ({ stdout, stderr }) => [
    ...matches(stdout, /^(\/.+\.rs)$/).map((match) => notFormatted(match[1])),
    ...paragraphs(stderr).flatMap(({ title, ...place }) =>
      title === "error" ? [{ ...place, severity: "error" as const }] : [],
    ),
  ],
  install: "Rust with rustfmt (a template whose image has it)",
}
