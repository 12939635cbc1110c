/** How a repository's files differ from its last commit. */
import { Effect, Schema } from "effect"
import { within } from "../Room.ts"
import { ownerTool } from "../Tool.ts"
import { gitIn, Repository, succeeded } from "./Git.ts"
import { statusOf } from "./StatusFormat.ts"

const Changed = Schema.Array(
  Schema.Struct({
    path: Schema.String,
    change: Schema.Literal("modified", "type", "added", "deleted", "renamed", "copied"),
    from: Schema.optional(Schema.String.annotations({ description: "The old path." })),
  }),
)

export const gitStatus = ownerTool({
  name: "git_status",
  title: "Git status",
  description: "Show a repository's branch and its staged, unstaged, untracked and conflicted files.",
  input: Schema.Struct({ repository: Repository }),
  output: Schema.Struct({
    branch: Schema.NullOr(Schema.String).annotations({ description: "Null where none is checked out." }),
    commit: Schema.NullOr(Schema.String).annotations({ description: "Null where there is none yet." }),
    upstream: Schema.optional(Schema.String),
    ahead: Schema.optional(Schema.Number),
    behind: Schema.optional(Schema.Number),
    clean: Schema.Boolean.annotations({ description: "There is nothing to commit." }),
    staged: Changed,
    unstaged: Changed,
    untracked: Schema.Array(Schema.String).annotations({ description: "A folder ends with a slash." }),
    conflicted: Schema.Array(Schema.String),
    truncated: Schema.Boolean.annotations({ description: "There are more files than are shown." }),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  changes: false,
  handler: Effect.fnUntraced(function* ({ repository }, call) {
    const { cut, stdout } = yield* Effect.flatMap(
      gitIn(call, repository, { kept: false })([
        "status",
        "--porcelain=v2",
        "--branch",
        "-z",
        "--untracked-files=normal",
      ]),
      succeeded,
    )
    const { conflicted, staged, unstaged, untracked, ...facts } = statusOf(stdout)
    // What needs attention first has the answer's room first.
    const all = [
      ...conflicted.map((path) => ({ kind: "conflicted" as const, path })),
      ...staged.map((file) => ({ kind: "staged" as const, ...file })),
      ...unstaged.map((file) => ({ kind: "unstaged" as const, ...file })),
      ...untracked.map((path) => ({ kind: "untracked" as const, path })),
    ]
    const shown = within(all)
    const changes = (wanted: "staged" | "unstaged") =>
      shown.flatMap((one) => {
        if (one.kind !== wanted) return []
        const { kind: _, ...file } = one
        return [file]
      })
    const paths = (wanted: "untracked" | "conflicted") =>
      shown.flatMap(({ kind, path }) => (kind === wanted ? [path] : []))
    return {
      ...facts,
      clean: all.length === 0,
      staged: changes("staged"),
      unstaged: changes("unstaged"),
      untracked: paths("untracked"),
      conflicted: paths("conflicted"),
      truncated: cut || shown.length < all.length,
    }
  }),
})
