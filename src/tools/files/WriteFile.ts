/** Replaces or makes one file. */
import { Effect, Encoding, Either, Schema } from "effect"
import { FileError } from "../../domain/SandboxError.ts"
import { absolute, CheckpointState, optional, ownerTool, WorkspacePath } from "../Tool.ts"

export const writeFile = ownerTool({
  name: "write_file",
  title: "Write a file",
  description:
    "Write a whole file in the workspace, with the folders above it. A file that exists is replaced in one step.",
  input: Schema.Struct({
    path: WorkspacePath,
    content: Schema.String.annotations({ description: "The whole content of the file." }),
    encoding: optional(
      Schema.Literal("utf8", "base64").annotations({
        description: "How `content` is written; utf8 otherwise.",
      }),
    ),
  }),
  output: Schema.Struct({
    path: Schema.String,
    size: Schema.Number.annotations({ description: "In bytes." }),
    checkpoint: CheckpointState,
  }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  changes: true,
  handler: Effect.fnUntraced(function* ({ path, content, encoding }, { checkpoint, limits, sandbox }) {
    const data = encoding === "base64" ? Encoding.decodeBase64(content) : Either.right(Buffer.from(content))
    if (Either.isLeft(data)) return yield* new InvalidContent({ path })
    if (data.right.length > limits.file) return yield* new FileError({ path, reason: "too_large" })
    const { files } = yield* sandbox
    yield* files.exclusively(files.write(absolute(path), data.right))
    return { path, size: data.right.length, checkpoint: checkpoint() }
  }),
})

class InvalidContent extends Schema.TaggedError<InvalidContent>()("InvalidContent", { path: Schema.String }) {
  override get message() {
    return `${this.path}: the content is not base64.`
  }
  readonly next = "Encode the content as base64, or leave `encoding` out for text."
}
