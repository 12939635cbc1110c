/** Records what is staged, or is to be, as a commit. */
import { Effect, Schema } from "effect"
import { OperationId } from "../../domain/Identity.ts"
import { cancelCommand } from "../commands/ToolCommand.ts"
import { CheckpointState, defaultWaitMs, optional, ownerTool, WaitMs } from "../Tool.ts"
import { gitIn, Paths, Repository, succeeded } from "./Git.ts"
import { countsOf, sumOf } from "./NumstatFormat.ts"
import { statusOf } from "./StatusFormat.ts"

export const gitCommit = ownerTool({
  name: "git_commit",
  title: "Git commit",
  description:
    "Commit what is staged in a repository; with `all` every change and untracked file, with `paths` those at them first " +
    "(what is gone there, too). Hooks of the repository run. Answers the new commit.",
  input: Schema.Struct({
    repository: Repository,
    message: Schema.String.pipe(Schema.pattern(/[^\s]/), Schema.maxLength(100_000)).annotations({
      description: "The whole message: a line, then an empty one and more where needed.",
    }),
    all: optional(Schema.Boolean.annotations({ description: "Stage everything first." })),
    paths: Paths,
    wait_ms: optional(
      WaitMs.annotations({
        description: `Time to wait for hooks, in milliseconds; ${defaultWaitMs} otherwise; then get_result has the answer.`,
      }),
    ),
  }),
  output: Schema.Struct({
    operation_id: OperationId.annotations({ description: "Names the call in get_result." }),
    status: Schema.Literal("committed", "running"),
    commit: Schema.optional(Schema.String),
    branch: Schema.optional(Schema.NullOr(Schema.String)),
    files: Schema.optional(Schema.Number.annotations({ description: "Files that the commit changes." })),
    added: Schema.optional(Schema.Number.annotations({ description: "Lines." })),
    removed: Schema.optional(Schema.Number),
    checkpoint: CheckpointState,
  }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  changes: true,
  handler: Effect.fnUntraced(
    function* ({ all = false, message, paths, repository }, call) {
      const git = gitIn(call, repository)
      const run = (...args: ReadonlyArray<string>) => Effect.flatMap(git(args), succeeded)
      if (all) yield* run("add", "--all")
      else if (paths !== undefined) yield* run("add", "--all", "--", ...paths)
      const identity = yield* Effect.forEach(Object.entries(unknown), ([name, value]) =>
        Effect.map(git(["config", "--get", name]), ({ code }) =>
          code === 0 ? [] : ["-c", `${name}=${value}`],
        ),
      )
      const committed = yield* git(
        [...identity.flat(), "commit", "--quiet", "--cleanup=whitespace", "--file=-"],
        message,
      )
      if (committed.code !== 0 && (yield* git(["diff", "--cached", "--quiet"])).code === 0) {
        return yield* new NothingToCommit()
      }
      yield* succeeded(committed)
      const status = statusOf(
        (yield* run("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=no")).stdout,
      )
      const counts = countsOf(
        (yield* run(
          "diff-tree",
          "--root",
          "--no-commit-id",
          "--find-renames",
          "--numstat",
          "-z",
          "-r",
          "HEAD",
        )).stdout,
      )
      return {
        operation_id: call.operation,
        status: "committed" as const,
        ...(status.commit === null ? {} : { commit: status.commit }),
        branch: status.branch,
        files: counts.length,
        ...sumOf(counts),
        checkpoint: call.checkpoint(),
      }
    },
    (commit, _, { commands }) => commands.inTurn("git", commit),
  ),
  cancel: cancelCommand,
  partial: {
    waitMs: ({ wait_ms = defaultWaitMs }) => wait_ms,
    answer: (_, { operation }) =>
      Effect.succeed({
        operation_id: operation,
        status: "running" as const,
        checkpoint: { state: "pending" as const },
      }),
  },
})

/** Who commits, where nobody has said. */
const unknown = { "user.name": "CodeGen MCP", "user.email": "codegen-mcp@localhost" }

class NothingToCommit extends Schema.TaggedError<NothingToCommit>()("NothingToCommit", {}) {
  override get message() {
    return "Nothing is staged, so there is nothing to commit."
  }
  readonly next = "Look with git_status; give `all` or `paths` to stage what changed."
}
