/** What a tool is asked does not fit, in a way that its flat schema cannot say. */
import { Schema } from "effect"

export class InvalidArguments extends Schema.TaggedError<InvalidArguments>()("InvalidArguments", {
  problem: Schema.String,
}) {
  override get message() {
    return this.problem
  }
  readonly next = "Correct the arguments and call again."
}
