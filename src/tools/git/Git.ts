/**
 * The sandbox's git, run by tools: arguments only, no shell, nobody to answer a question, no pager, no editor. What its
 * configuration and its hooks do in the sandbox is the session's own business.
 */
import { Effect, Schema } from "effect"
import { commandsOf, timeoutOf } from "../commands/ToolCommand.ts"
import { absolute, optional, type OwnerCall, WorkspacePath } from "../Tool.ts"

/** The argument that says which repository is meant. */
export const Repository = optional(
  WorkspacePath.annotations({ description: "Folder of the repository; /workspace otherwise." }),
)

/** Paths as git takes them, each for itself: no pattern, and no option. */
export const Paths = optional(
  Schema.Array(WorkspacePath.annotations({ description: "Relative to the repository's folder." })).pipe(
    Schema.minItems(1),
    Schema.maxItems(1000),
  ),
)

/** A commit, branch or tag. Where it begins with `-` it would be an option. */
export const Revision = Schema.String.pipe(
  Schema.pattern(/^[^-\s\p{Cc}][^\s\p{Cc}]*$/u),
  Schema.maxLength(250),
)

export interface GitOutput {
  readonly code: number
  /** The beginning, where it is longer than a node keeps. */
  readonly stdout: Buffer
  readonly cut: boolean
  readonly stderr: string
}

/** Gives what runs git in a repository, one command after another; any exit code is a result. */
export const gitIn = (call: OwnerCall, repository = ".", options: Parameters<typeof commandsOf>[1] = {}) => {
  const commands = commandsOf(call, options)
  return Effect.fnUntraced(function* (args: ReadonlyArray<string>, input?: string) {
    const timeoutMs = yield* timeoutOf(undefined, call.limits)
    const spec = {
      argv: ["git", ...globals, ...args] as const,
      cwd: absolute(repository),
      env: environment,
      stdin: input === undefined ? ("none" as const) : ("open" as const),
      tty: false,
      timeoutMs,
    }
    const { end, page } = yield* commands.run(
      spec,
      `git ${args.join(" ")}`.slice(0, 200),
      input === undefined ? undefined : { data: Buffer.from(input), end: true },
    )
    const { data, skipped, skippedAt } = page.stdout
    const stderr = Buffer.from(page.stderr.data).toString()
    if (end._tag !== "Exited") {
      return yield* new GitEnded({ how: ends[end._tag], output: stderr.slice(-maxSaid) })
    }
    const stdout = Buffer.from(skipped > 0 ? data.subarray(0, skippedAt) : data)
    return { code: end.code, stdout, cut: skipped > 0, stderr } satisfies GitOutput
  })
}

/** The output of a command that has to succeed. */
export const succeeded = (output: GitOutput) => {
  if (output.code === 0) return Effect.succeed(output)
  const said = `${output.stderr}\n${output.stdout.toString()}`.trim().slice(0, maxSaid)
  return Effect.fail(new GitFailed({ exit: output.code, output: said }))
}

/** Characters of what git says that a failure shows. */
const maxSaid = 2000

const globals = ["--no-pager", "--literal-pathspecs"]

const environment = {
  GIT_TERMINAL_PROMPT: "0",
  GIT_PAGER: "cat",
  GIT_EDITOR: ":",
  GIT_SEQUENCE_EDITOR: ":",
  // Who only looks does not lock the index.
  GIT_OPTIONAL_LOCKS: "0",
  LC_ALL: "C.UTF-8",
}

const ends = {
  Signalled: "was killed",
  TimedOut: "took too long and was killed",
  Cancelled: "was cancelled",
  TooMuchOutput: "wrote too much and was killed",
} as const

/** Git refused, or a hook of the repository did. */
class GitFailed extends Schema.TaggedError<GitFailed>()("GitFailed", {
  exit: Schema.Number,
  output: Schema.String,
}) {
  override get message() {
    return `git ended with ${this.exit}: ${this.output}`
  }
  readonly next = "Read what git says. Without a repository there, make one with `exec`: git init."
}

/** Git came to no end of its own. */
class GitEnded extends Schema.TaggedError<GitEnded>()("GitEnded", {
  how: Schema.String,
  output: Schema.String,
}) {
  override get message() {
    return `git ${this.how}. ${this.output}`.trim()
  }
  readonly next = "Look with git_status how things stand; what takes long runs with `exec`."
}
