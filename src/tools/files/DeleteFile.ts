/** Removes a file or a folder. */
import { Effect, Schema } from "effect"
import { absolute, CheckpointState, optional, ownerTool, WorkspacePath } from "../Tool.ts"

export const deleteFile = ownerTool({
  name: "delete_file",
  title: "Delete a file",
  description:
    "Delete a file, a link (not what it leads to), or a folder: an empty one, or any where `recursive`.",
  input: Schema.Struct({
    path: WorkspacePath,
    recursive: optional(Schema.Boolean.annotations({ description: "A folder goes with all that is in it." })),
  }),
  output: Schema.Struct({ path: Schema.String, checkpoint: CheckpointState }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },
  changes: true,
  handler: Effect.fnUntraced(function* ({ path, recursive = false }, { checkpoint, sandbox }) {
    const { files } = yield* sandbox
    yield* files.exclusively(files.remove(absolute(path), recursive))
    return { path, checkpoint: checkpoint() }
  }),
})
