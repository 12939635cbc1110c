/** Replaces exact texts in one file. */
import { Effect, Either, Schema } from "effect"
import { FileError } from "../../domain/SandboxError.ts"
import { InvalidArguments } from "../InvalidArguments.ts"
import { absolute, CheckpointState, optional, ownerTool, WorkspacePath } from "../Tool.ts"
import { type Problem, replaced, replacements, sizeAfter } from "./Edits.ts"
import { unifiedDiff } from "./UnifiedDiff.ts"

/** Characters of an answer's diff, as JSON writes it. */
const diffLimit = 20_000

const maxEdits = 100

/** Bytes that are looked through for all texts of one call. */
const maxLooked = 128 * 1024 * 1024

export const editFile = ownerTool({
  name: "edit_file",
  title: "Edit a file",
  description:
    "Replace exact texts in one file of the workspace: all edits or none. Each `old_text` is looked for in the file as it " +
    "is before the call, and has to stand there once, white space and all, unless `replace_all`. Answers a unified diff.",
  input: Schema.Struct({
    path: WorkspacePath,
    edits: Schema.Array(
      Schema.Struct({
        old_text: Schema.String.pipe(Schema.minLength(1)).annotations({
          description: "Text to replace, with enough around it to stand once; without line numbers.",
        }),
        new_text: Schema.String.annotations({ description: "What takes its place." }),
        replace_all: optional(Schema.Boolean.annotations({ description: "Replace it wherever it stands." })),
      }),
    ).pipe(Schema.minItems(1), Schema.maxItems(maxEdits)),
  }),
  output: Schema.Struct({
    path: Schema.String,
    replaced: Schema.Number.annotations({ description: "Places that were replaced." }),
    size: Schema.Number.annotations({ description: "Of the file now, in bytes." }),
    diff: Schema.String,
    diff_truncated: Schema.Boolean.annotations({ description: "The diff does not show all of the change." }),
    checkpoint: CheckpointState,
  }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },
  changes: true,
  handler: Effect.fnUntraced(function* ({ path, edits }, { checkpoint, limits, sandbox }) {
    const { files } = yield* sandbox
    const edit = Effect.gen(function* () {
      const { data, size } = yield* files.read(absolute(path), 0, limits.file)
      if (size > data.length) return yield* new FileError({ path, reason: "too_large" })
      if (size * edits.length > maxLooked) {
        return yield* new InvalidArguments({
          problem: `${path} is too large for ${edits.length} edits at once: make up to ${Math.max(1, Math.floor(maxLooked / size))} a call.`,
        })
      }
      const file = Buffer.from(data.buffer, data.byteOffset, data.length)
      const found = replacements(file, edits)
      if (Either.isLeft(found)) return yield* new EditRefused({ path, problems: found.left })
      if (sizeAfter(file, found.right) > limits.file) {
        return yield* new FileError({ path, reason: "too_large" })
      }
      const edited = replaced(file, found.right)
      yield* files.write(absolute(path), edited)
      const { cut, diff } = unifiedDiff(path.replace(/^\/workspace\//, ""), file, found.right, diffLimit)
      return { path, replaced: found.right.length, size: edited.length, diff, diff_truncated: cut }
    })
    return { ...(yield* files.exclusively(edit)), checkpoint: checkpoint() }
  }),
})

/** Problems that one answer names. */
const maxShown = 4

class EditRefused extends Schema.TaggedError<EditRefused>()("EditRefused", {
  path: Schema.String,
  problems: Schema.Array(Schema.Struct({ code: Schema.String, text: Schema.String })),
}) {
  override get message() {
    const shown = this.problems.slice(0, maxShown).map(({ text }) => text)
    const more =
      this.problems.length > maxShown ? [`${this.problems.length - maxShown} more edits do not fit.`] : []
    return [`${this.path} was not changed.`, ...shown, ...more].join("\n")
  }
  get code() {
    return this.problems[0]?.code ?? "edit_refused"
  }
  get next() {
    return remedies[this.code as Problem["code"]]
  }
}

const remedies: Readonly<Record<Problem["code"], string>> = {
  text_not_found: "Take old_text from the file as it is now (read_file), and call again with all edits.",
  text_ambiguous: "Add lines around it to old_text, or set replace_all, and call again with all edits.",
  edits_overlap: "Put them into one edit, and call again with all edits.",
  nothing_to_change: "Leave that edit out, or correct its new_text.",
  too_many_matches: "Replace a longer text, or do it with `exec`: sed.",
}
