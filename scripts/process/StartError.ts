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
