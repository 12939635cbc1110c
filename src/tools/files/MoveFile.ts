/** Gives a file or a folder another place, or makes a copy of it there. */
import { Effect, Schema } from "effect"
import { absolute, CheckpointState, optional, ownerTool, WorkspacePath } from "../Tool.ts"

export const moveFile = ownerTool({
  name: "move_file",
  title: "Move or copy a file",
  description:
    "Move or rename a file, a link, or a folder with all that is in it, or `copy` it. `to` is its new path, not a folder " +
    "to put it into; folders above it are made.",
  input: Schema.Struct({
    from: WorkspacePath,
    to: WorkspacePath,
    copy: optional(Schema.Boolean.annotations({ description: "Leave `from` where it is." })),
    replace: optional(
      Schema.Boolean.annotations({
        description: "A file (for a folder: an empty one) that stands at `to` gives way; refused otherwise.",
      }),
    ),
  }),
  output: Schema.Struct({ from: Schema.String, to: Schema.String, checkpoint: CheckpointState }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },
  changes: true,
  handler: Effect.fnUntraced(function* (
    { from, to, copy = false, replace = false },
    { checkpoint, sandbox },
  ) {
    const { files } = yield* sandbox
    const move = copy ? files.copy : files.move
    yield* files.exclusively(move(absolute(from), absolute(to), replace))
    return { from, to, checkpoint: checkpoint() }
  }),
})
