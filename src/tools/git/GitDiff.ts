/** What changed in a repository, as git shows it. */
import { Effect, Schema } from "effect"
import { InvalidArguments } from "../InvalidArguments.ts"
import { within } from "../Room.ts"
import { optional, ownerTool } from "../Tool.ts"
import { gitIn, Paths, Repository, Revision, succeeded } from "./Git.ts"
import { countsOf, sumOf } from "./NumstatFormat.ts"

/** Characters of an answer's diff, and of its list of files, as JSON writes them. */
const diffLimit = 26_000
const filesLimit = 8_000

export const gitDiff = ownerTool({
  name: "git_diff",
  title: "Git diff",
  description:
    "Show what changed in tracked files: what is not staged, what is (`staged`), or between a commit, branch or tag " +
    "(`from`) and the files, or another one (`to`). apply_patch takes such diffs. git_status names untracked files.",
  input: Schema.Struct({
    repository: Repository,
    staged: optional(Schema.Boolean.annotations({ description: "Show what is staged." })),
    from: optional(Revision.annotations({ description: "A commit, branch or tag to compare with." })),
    to: optional(Revision.annotations({ description: "Compare it with this one, not with the files." })),
    paths: Paths,
  }),
  output: Schema.Struct({
    files: Schema.Array(
      Schema.Struct({
        path: Schema.String,
        from: Schema.optional(Schema.String.annotations({ description: "The old path." })),
        added: Schema.optional(
          Schema.Number.annotations({ description: "Lines; absent for binary contents." }),
        ),
        removed: Schema.optional(Schema.Number),
      }),
    ),
    added: Schema.Number.annotations({ description: "Lines, in all files." }),
    removed: Schema.Number,
    diff: Schema.String,
    truncated: Schema.Boolean.annotations({
      description: "Not all is shown: give `paths`, or write the diff to a file with exec.",
    }),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  changes: false,
  handler: Effect.fnUntraced(function* ({ from, paths = [], repository, staged = false, to }, call) {
    if (to !== undefined && (from === undefined || staged)) {
      return yield* new InvalidArguments({ problem: "`to` needs `from`, and goes without `staged`." })
    }
    const git = gitIn(call, repository, { kept: false })
    const what = [
      ...(staged ? ["--cached"] : []),
      "--end-of-options",
      ...(from === undefined ? [] : [from]),
      ...(to === undefined ? [] : [to]),
      "--",
      ...paths,
    ]
    const numbers = yield* Effect.flatMap(git(["diff", ...plain, "--numstat", "-z", ...what]), succeeded)
    const text = yield* Effect.flatMap(git(["diff", ...plain, "--patch", ...what]), succeeded)
    const counts = countsOf(numbers.stdout)
    const files = within(counts, filesLimit)
    const { diff, cut } = beginning(text.stdout)
    const isWhole = !numbers.cut && !text.cut && !cut && files.length === counts.length
    return { files, ...sumOf(counts), diff, truncated: !isWhole }
  }),
})

/** The same whatever the repository's configuration says. */
const plain = [
  "--no-color",
  "--no-ext-diff",
  "--no-textconv",
  "--src-prefix=a/",
  "--dst-prefix=b/",
  "--find-renames",
  "--submodule=short",
  "--no-relative",
]

/** As many whole lines as one answer takes. */
const beginning = (output: Buffer) => {
  const lines = output.toString("utf8", 0, diffLimit + 4).split("\n")
  let left = diffLimit
  const end = lines.findIndex((line) => (left -= JSON.stringify(line).length) < 0)
  const isAll = end < 0 && output.length <= diffLimit
  const shown = isAll ? lines : [...lines.slice(0, end < 0 ? -1 : end), ""]
  return { diff: shown.join("\n"), cut: !isAll }
}
