/** Finds lines in files. */
import { Effect, Schema } from "effect"
import { absolute, optional, ownerTool, WorkspacePath } from "../Tool.ts"
import { within } from "../Room.ts"

const defaultLimit = 100
const maxLimit = 1000

/** Bytes of the lines of one answer. */
const maxBytes = 30_000

export const searchFiles = ownerTool({
  name: "search_files",
  title: "Search in files",
  description:
    "Find lines in the text files of the workspace, by a regular expression as ripgrep knows it (no look-around, no " +
    "line breaks), or by a `literal` text. Lines are shown as `12:text`, those around them as `13-text`. What a " +
    ".gitignore names is left out, unless `path` is inside of it.",
  input: Schema.Struct({
    pattern: Schema.String.pipe(Schema.minLength(1), Schema.maxLength(16_000)).annotations({
      description: "A regular expression, or a text where `literal`.",
    }),
    path: optional(WorkspacePath.annotations({ description: "Folder or file; /workspace otherwise." })),
    glob: optional(
      Schema.String.pipe(Schema.minLength(1), Schema.maxLength(4096)).annotations({
        description: "Only files that match, as in find_files.",
      }),
    ),
    literal: optional(Schema.Boolean.annotations({ description: "`pattern` is a text, not an expression." })),
    ignore_case: optional(
      Schema.Boolean.annotations({ description: "Take large and small letters for the same." }),
    ),
    context: optional(
      Schema.Number.pipe(Schema.int(), Schema.between(0, 20)).annotations({
        description: "Lines around each; 0 otherwise.",
      }),
    ),
    limit: optional(
      Schema.Number.pipe(Schema.int(), Schema.between(1, maxLimit)).annotations({
        description: `Matching lines, at most; ${defaultLimit} otherwise.`,
      }),
    ),
  }),
  output: Schema.Struct({
    files: Schema.Array(
      Schema.Struct({
        path: Schema.String.annotations({ description: "Relative to /workspace." }),
        lines: Schema.Array(Schema.String),
      }),
    ),
    matches: Schema.Number.annotations({ description: "Matching lines that are shown." }),
    truncated: Schema.Boolean.annotations({ description: "There may be more; `note` says why." }),
    note: Schema.optional(Schema.String),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  changes: false,
  handler: Effect.fnUntraced(function* (input, { sandbox }) {
    const found = yield* (yield* sandbox).files.grep({
      path: absolute(input.path ?? "."),
      pattern: input.pattern,
      glob: input.glob ?? null,
      literal: input.literal ?? false,
      ignoreCase: input.ignore_case ?? false,
      context: input.context ?? 0,
      limit: input.limit ?? defaultLimit,
      maxBytes,
    })
    // The agent bounds the lines; their paths may be long, too.
    const files = within(
      found.files.map(({ path, lines }) => ({
        path,
        lines: lines.map(({ line, match, text }) => `${line}${match ? ":" : "-"}${text}`),
      })),
    )
    const truncated = found.truncated || files.length < found.files.length
    const notes = [
      ...(found.timedOut ? ["The time was over before all files were searched."] : []),
      ...(truncated ? ["Narrow `pattern`, `path` or `glob` to see the rest."] : []),
      ...(found.skipped > 0 ? [`${found.skipped} files whose names are no text were not searched.`] : []),
    ]
    const matches = found.files
      .slice(0, files.length)
      .reduce((sum, { lines }) => sum + lines.filter(({ match }) => match).length, 0)
    return { files, matches, truncated, ...(notes.length === 0 ? {} : { note: notes.join(" ") }) }
  }),
})
