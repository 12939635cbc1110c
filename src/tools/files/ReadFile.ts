/** Reads one file: a part of its bytes, some of its lines, or an image to look at. */
import { Effect, Schema } from "effect"
import { InvalidArguments } from "../InvalidArguments.ts"
import type { SandboxFiles } from "../../sandbox/SandboxFiles.ts"
import { textOf } from "../Text.ts"
import { absolute, optional, ownerTool, partialCharacter, WorkspacePath } from "../Tool.ts"
import { imageLimit, imageType } from "./ImageType.ts"
import { lineText } from "./LineText.ts"

/** Bytes of one answer, so that it stays below what clients pass on to a model. */
const answerLimit = 28_000

const Count = Schema.Number.pipe(Schema.int(), Schema.nonNegative())
const Line = Schema.Number.pipe(Schema.int(), Schema.between(1, 1_000_000_000))

export const readFile = ownerTool({
  name: "read_file",
  title: "Read a file",
  description:
    `Read a file in the workspace, up to ${answerLimit} bytes: its text, some lines of it (\`first_line\`, \`lines\`), ` +
    "or an image to look at. Where more follows, `next_offset` or `next_line` says where to go on. What is neither " +
    "text nor an image, and whatever `offset` is given for and is no text, comes as base64.",
  input: Schema.Struct({
    path: WorkspacePath,
    offset: optional(
      Count.annotations({
        description: "Byte to begin at; 0 otherwise. Not together with lines.",
      }),
    ),
    first_line: optional(Line.annotations({ description: "Line to begin at, from 1." })),
    lines: optional(Line.annotations({ description: "Lines to read; as many as fit otherwise." })),
    numbered: optional(
      Schema.Boolean.annotations({
        description:
          "Show each line as its number, a tab and its text; true otherwise where lines are asked for, false for the rest.",
      }),
    ),
  }),
  output: Schema.Struct({
    content: Schema.String.annotations({ description: "Empty for an image, which is shown beside it." }),
    encoding: Schema.Literal("utf8", "base64"),
    size: Schema.Number.annotations({ description: "Of the whole file, in bytes." }),
    next_offset: Schema.optional(Schema.Number.annotations({ description: "Where the rest begins." })),
    total_lines: Schema.optional(Schema.Number.annotations({ description: "Of the whole file." })),
    next_line: Schema.optional(
      Schema.Number.annotations({ description: "The first line that is not shown." }),
    ),
    mime_type: Schema.optional(Schema.String.annotations({ description: "Of an image." })),
    note: Schema.optional(Schema.String.annotations({ description: "What is not shown as it is." })),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  changes: false,
  handler: Effect.fnUntraced(function* ({ first_line, lines, numbered, offset, path }, { sandbox, show }) {
    const byLines = first_line !== undefined || lines !== undefined || numbered === true
    if (byLines && offset !== undefined) return yield* new InvalidArguments({ problem: bytesOrLines })
    const { files } = yield* sandbox
    if (byLines) {
      const page = yield* files.readLines(absolute(path), first_line ?? 1, lines ?? maxLines, answerLimit)
      return lineText(page, first_line ?? 1, numbered ?? true)
    }
    const { data, size } = yield* files.read(absolute(path), offset ?? 0, answerLimit)
    const mimeType = offset === undefined ? imageType(data) : undefined
    if (mimeType === undefined) return part(data, size, offset ?? 0)
    const facts = { content: "", encoding: "base64" as const, mime_type: mimeType }
    const image = yield* imageOf(files, path, data, size)
    if (image.data.length < image.size || imageType(image.data) !== mimeType) {
      return { ...facts, size: image.size, next_offset: 0, note: tooLarge }
    }
    show({ type: "image", data: Buffer.from(image.data).toString("base64"), mimeType })
    return { ...facts, size: image.size }
  }),
})

const bytesOrLines =
  "`offset` counts bytes, and cannot be given together with `first_line`, `lines` or `numbered`."

/** As many as an answer holds. */
const maxLines = answerLimit

const tooLarge =
  `The image is larger than is shown (${imageLimit} bytes). Make a smaller one with \`exec\`, or read its bytes ` +
  "from next_offset on."

/** All of an image whose beginning was read; of one that is too large no more than that. */
const imageOf = (files: SandboxFiles, path: string, data: Uint8Array, size: number) =>
  size <= data.length || size > imageLimit
    ? Effect.succeed({ data, size })
    : files.read(absolute(path), 0, imageLimit)

/** Bytes from an offset on, as text where they are. */
const part = (data: Uint8Array, size: number, offset: number) => {
  const rest = offset + data.length < size
  const whole = rest ? data.subarray(0, data.length - partialCharacter(data)) : data
  const plain = textOf(whole)
  // Text full of control characters is longer, as JSON writes it, than its base64.
  const text = plain !== undefined && JSON.stringify(plain).length <= answerLimit * 1.4 ? plain : undefined
  const used = text === undefined ? data : whole
  return {
    content: text ?? Buffer.from(used).toString("base64"),
    encoding: text === undefined ? ("base64" as const) : ("utf8" as const),
    size,
    ...(rest ? { next_offset: offset + used.length } : {}),
  }
}
