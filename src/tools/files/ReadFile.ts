/** Reads one file, or a part of it. */
import { Effect, Schema } from "effect"
import { absolute, optional, ownerTool, partialCharacter, WorkspacePath } from "../Tool.ts"

/** Bytes of one answer, so that it stays below what clients pass on to a model. */
const answerLimit = 28_000

const Count = Schema.Number.pipe(Schema.int(), Schema.nonNegative())

export const readFile = ownerTool({
  name: "read_file",
  title: "Read a file",
  description:
    `Read a file in the workspace. Answers up to ${answerLimit} bytes from \`offset\`; where more follows, ` +
    "`next_offset` says where to go on. Text comes as utf8, anything else as base64.",
  input: Schema.Struct({
    path: WorkspacePath,
    offset: optional(
      Count.annotations({
        description: "Byte to begin at; 0 otherwise.",
      }),
    ),
  }),
  output: Schema.Struct({
    content: Schema.String,
    encoding: Schema.Literal("utf8", "base64"),
    size: Schema.Number.annotations({ description: "Of the whole file, in bytes." }),
    next_offset: Schema.optional(Schema.Number.annotations({ description: "Where the rest begins." })),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  changes: false,
  handler: Effect.fnUntraced(function* ({ path, offset = 0 }, { sandbox }) {
    const { data, size } = yield* (yield* sandbox).files.read(absolute(path), offset, answerLimit)
    const rest = offset + data.length < size
    const whole = rest ? data.subarray(0, data.length - partialCharacter(data)) : data
    const plain = decode(whole)
    // Text full of control characters is longer, as JSON writes it, than its base64.
    const text = plain !== undefined && JSON.stringify(plain).length <= answerLimit * 1.4 ? plain : undefined
    const used = text === undefined ? data : whole
    return {
      content: text ?? Buffer.from(used).toString("base64"),
      encoding: text === undefined ? ("base64" as const) : ("utf8" as const),
      size,
      ...(rest ? { next_offset: offset + used.length } : {}),
    }
  }),
})

const decode = (bytes: Uint8Array) => {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)
  return Buffer.from(text).equals(bytes) && !text.includes("\0") ? text : undefined
}
