/** Something that cannot be set up or started: what is wrong, and what to do about it, in one sentence each. */
import { Schema } from "effect"

export class StartError extends Schema.TaggedError<StartError>()("StartError", {
  problem: Schema.String,
  remedy: Schema.String,
  cause: Schema.optional(Schema.Defect),
}) {
  override get message() {
    return `${this.problem} ${this.remedy}`
  }
}

/** What is wrong with a command line, as node:util's parseArgs says it, without its advice and without a full stop. */
export const misuse = (cause: unknown) => String((cause as Error).message).split(". ")[0] ?? ""
