/** Applies a unified diff: all of it, or nothing. */
import { Effect, Either, Fiber, Schema } from "effect"
import type { FileError, SandboxLost } from "../../domain/SandboxError.ts"
import type { SandboxFiles } from "../../sandbox/SandboxFiles.ts"
import { absolute, CheckpointState, ownerTool } from "../Tool.ts"
import { within } from "../Room.ts"
import { type FilePatch, parse } from "./Patch.ts"
import { type FileChange, plan } from "./PatchPlan.ts"

/** Files of one patch. */
const maxFiles = 500

export const applyPatch = ownerTool({
  name: "apply_patch",
  title: "Apply a patch",
  description:
    "Apply a unified diff as `git diff` writes it to files of the workspace: all of it or nothing. New, deleted, renamed " +
    "and copied files, and modes, by git's headers. Context has to fit exactly; a hunk may stand at other lines than its " +
    "header says where only one place fits. Paths are relative to /workspace. For small changes edit_file is easier.",
  input: Schema.Struct({
    patch: Schema.String.pipe(Schema.minLength(1)).annotations({ description: "The whole unified diff." }),
  }),
  output: Schema.Struct({
    files: Schema.Array(
      Schema.Struct({
        path: Schema.String,
        change: Schema.Literal("modified", "added", "deleted", "renamed", "copied"),
        from: Schema.optional(Schema.String.annotations({ description: "The old path." })),
        added: Schema.Number.annotations({ description: "Lines." }),
        removed: Schema.Number,
      }),
    ),
    truncated: Schema.Boolean.annotations({ description: "More files than these were changed." }),
    checkpoint: CheckpointState,
  }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },
  changes: true,
  handler: Effect.fnUntraced(function* ({ patch }, { checkpoint, limits, sandbox }) {
    const parsed = parse(patch)
    if (Either.isLeft(parsed)) {
      const { at, text } = parsed.left
      return yield* new BadPatch({ problem: `Line ${at} of the patch: ${text}.` })
    }
    const parts = parsed.right
    if (parts.length > maxFiles) {
      return yield* new BadPatch({ problem: `The patch is about more than ${maxFiles} files.` })
    }
    const { files } = yield* sandbox
    yield* files.exclusively(
      Effect.gen(function* () {
        const planned = yield* plan(files, parts, limits.file)
        if (Either.isLeft(planned)) return yield* new PatchDoesNotApply({ problems: planned.left })
        yield* perform(files, planned.right)
      }),
    )
    const shown = within(parts.map(summaryOf))
    return { files: shown, truncated: shown.length < parts.length, checkpoint: checkpoint() }
  }),
})

/** Writes the changes, one after the other; where one fails, takes back those before it. A cancel waits for its end. */
const perform = (files: SandboxFiles, changes: ReadonlyArray<FileChange>) =>
  Effect.gen(function* () {
    const done: Array<FileChange> = []
    for (const change of changes) {
      const made = yield* Effect.either(make(files, change))
      if (Either.isRight(made)) done.push(change)
      else if (made.left._tag === "SandboxLost") return yield* made.left
      else {
        const left = yield* takeBack(files, done)
        return yield* new PatchFailed({ cause: made.left.message, left })
      }
    }
  }).pipe(Effect.forkDaemon, Effect.flatMap(Fiber.join), Effect.uninterruptible)

const make = (
  files: SandboxFiles,
  { after, path }: FileChange,
): Effect.Effect<void, FileError | SandboxLost> =>
  after === undefined
    ? files.remove(absolute(path), false)
    : files.write(absolute(path), after.bytes, after.mode)

/** Undoes changes; gives the paths at which that failed. What is new goes first, for a full disk has room then. */
const takeBack = (files: SandboxFiles, done: ReadonlyArray<FileChange>) =>
  Effect.gen(function* () {
    const left: Array<string> = []
    const isNew = ({ before }: FileChange) => before === undefined
    for (const { after, before, path } of [...done.filter(isNew), ...done.filter((one) => !isNew(one))]) {
      const undone = yield* Effect.either(make(files, { path, before: after, after: before }))
      if (Either.isLeft(undone) && undone.left._tag === "SandboxLost") return yield* undone.left
      if (Either.isLeft(undone)) left.push(path)
    }
    return left
  })

const summaryOf = ({ from, hunks, isCopy, to }: FilePatch) => {
  const count = (mark: string) =>
    hunks.reduce((sum, { rows }) => sum + rows.filter((row) => row.mark === mark).length, 0)
  const change =
    from === undefined
      ? ("added" as const)
      : to === undefined
        ? ("deleted" as const)
        : from === to
          ? ("modified" as const)
          : isCopy
            ? ("copied" as const)
            : ("renamed" as const)
  return {
    path: to ?? from ?? "",
    change,
    ...(change === "copied" || change === "renamed" ? { from } : {}),
    added: count("+"),
    removed: count("-"),
  }
}

/** Problems, or paths, that one answer names. */
const maxShown = 5

const some = (all: ReadonlyArray<string>, separator: string) =>
  all
    .slice(0, maxShown)
    .map((text) => text.slice(0, 1500))
    .join(separator) + (all.length > maxShown ? `${separator}and ${all.length - maxShown} more` : "")

class BadPatch extends Schema.TaggedError<BadPatch>()("BadPatch", { problem: Schema.String }) {
  override get message() {
    return `Nothing was changed. ${this.problem}`
  }
  readonly next = "Write the patch as `git diff` does, or change the files with edit_file and write_file."
}

class PatchDoesNotApply extends Schema.TaggedError<PatchDoesNotApply>()("PatchDoesNotApply", {
  problems: Schema.Array(Schema.String),
}) {
  override get message() {
    return `Nothing was changed.\n${some(this.problems, "\n")}`
  }
  readonly next =
    "Read these files (read_file) and make the patch anew, or use edit_file, which needs no line numbers."
}

/** A write failed after others were done; `left` could not be taken back. */
class PatchFailed extends Schema.TaggedError<PatchFailed>()("PatchFailed", {
  cause: Schema.String,
  left: Schema.Array(Schema.String),
}) {
  override get message() {
    return this.left.length === 0
      ? `The patch broke off, and what it had changed was taken back: ${this.cause}`
      : `The patch broke off, and could not be taken back in ${some(this.left, ", ")}: ${this.cause}`
  }
  get next() {
    return this.left.length === 0
      ? "Correct that, then apply the patch again."
      : "Look at these files (read_file), and put right what is wrong."
  }
}
