/** Lists a folder. */
import { Effect, Schema } from "effect"
import { absolute, optional, ownerTool, WorkspacePath } from "../Tool.ts"
import { within } from "../Room.ts"

/** Entries of one answer. */
const limit = 500

export const listFiles = ownerTool({
  name: "list_files",
  title: "List files",
  description: `List what is in a folder of the workspace, \`depth\` levels deep, up to ${limit} entries.`,
  input: Schema.Struct({
    path: optional(WorkspacePath.annotations({ description: "Folder; /workspace otherwise." })),
    depth: optional(
      Schema.Number.pipe(Schema.int(), Schema.between(1, 32)).annotations({
        description: "Levels of folders to go down; 1 otherwise.",
      }),
    ),
  }),
  output: Schema.Struct({
    entries: Schema.Array(
      Schema.Struct({
        path: Schema.String.annotations({ description: "Relative to /workspace." }),
        kind: Schema.Literal("file", "directory", "link", "other"),
        size: Schema.Number.annotations({ description: "In bytes." }),
      }),
    ),
    truncated: Schema.Boolean.annotations({
      description: "There are more entries; list a folder further down.",
    }),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  changes: false,
  handler: Effect.fnUntraced(function* ({ path = ".", depth = 1 }, { sandbox }) {
    const { entries, truncated } = yield* (yield* sandbox).files.list(absolute(path), depth, limit)
    const shown = within(entries)
    return { entries: shown, truncated: truncated || shown.length < entries.length }
  }),
})
