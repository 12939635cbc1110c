/** Finds files by a pattern for their paths. */
import { Effect, Schema } from "effect"
import { absolute, optional, ownerTool, WorkspacePath } from "../Tool.ts"
import { within } from "../Room.ts"

const defaultLimit = 200
const maxLimit = 1000

export const findFiles = ownerTool({
  name: "find_files",
  title: "Find files",
  description:
    "Find files of the workspace by a glob: `*.ts` for a name at any depth, `src/**/test_*.py` for a path. Knows `*`, " +
    "`**`, `?`, `[a-z]`, `{a,b}`. What a .gitignore names is left out, unless `path` is inside of it.",
  input: Schema.Struct({
    pattern: Schema.String.pipe(Schema.minLength(1), Schema.maxLength(4096)).annotations({
      description: "A glob, such as `*.ts` or `src/**/*.py`.",
    }),
    path: optional(
      WorkspacePath.annotations({
        description: "Folder that the pattern counts from; /workspace otherwise.",
      }),
    ),
    limit: optional(
      Schema.Number.pipe(Schema.int(), Schema.between(1, maxLimit)).annotations({
        description: `Paths to answer, at most; ${defaultLimit} otherwise.`,
      }),
    ),
  }),
  output: Schema.Struct({
    paths: Schema.Array(Schema.String).annotations({ description: "Relative to /workspace, in order." }),
    truncated: Schema.Boolean.annotations({
      description: "There may be more; narrow the pattern or `path`.",
    }),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  changes: false,
  handler: Effect.fnUntraced(function* ({ pattern, path = ".", limit = defaultLimit }, { sandbox }) {
    const found = yield* (yield* sandbox).files.glob(absolute(path), pattern, limit)
    const paths = within(found.paths)
    return { paths, truncated: found.truncated || paths.length < found.paths.length }
  }),
})
