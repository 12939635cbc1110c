/** What can go wrong between a node and its sandboxes. */
import { Schema } from "effect"
import { ContainerId } from "./Identity.ts"

/** The engine refused or did not answer. Nothing was changed in the workspace. */
export class SandboxError extends Schema.TaggedError<SandboxError>()("SandboxError", {
  operation: Schema.Literal("ping", "list", "create", "attach", "start", "inspect", "unpause", "remove"),
  cause: Schema.Defect,
}) {
  override get message() {
    return `Docker could not ${this.operation} the sandbox: ${describe(this.cause)}`
  }
  readonly next = "Try again; if it stays so, the operator must look at this node's Docker engine."
}

/** The container is gone: killed from inside or removed from outside. What was not saved went with it. */
export class SandboxLost extends Schema.TaggedError<SandboxLost>()("SandboxLost", {
  container: ContainerId,
}) {
  override get message() {
    return "The sandbox ended while it was in use; its processes are gone, and what this call changed."
  }
  readonly next =
    "Call again: a new sandbox is started, with the files that were saved. Look with list_files which those are."
}

/** The command never ran: there is no such program or folder, or the sandbox has no process to spare. */
export class CommandNotStarted extends Schema.TaggedError<CommandNotStarted>()("CommandNotStarted", {
  reason: Schema.String,
}) {
  override get message() {
    return `The command could not be started: ${this.reason}`
  }
  readonly next = "Check the program's name and `cwd`; list_files shows what is there."
}

/** This node has no room for one more sandbox. `setting` names the limit, which counts `what`. */
export class Capacity extends Schema.TaggedError<Capacity>()("Capacity", {
  what: Schema.Literal("sandboxes", "bytes of memory", "bytes of disk"),
  limit: Schema.Number,
  setting: Schema.String,
}) {
  override get message() {
    return this.what === "bytes of disk"
      ? `This node's disk has ${this.limit} bytes left, which is less than a sandbox's (${this.setting}).`
      : `This node's sandboxes take all of its ${this.limit} ${this.what}, which is its limit (${this.setting}).`
  }
  readonly next = "Close a session that you no longer need (close_session), or try again later."
}

/** Why an agent did not do what was asked of files. */
export const FileRefusal = Schema.Literal(
  "outside",
  "missing",
  "not_a_file",
  "not_a_directory",
  "no_space",
  "denied",
  /** Something stands there already. */
  "exists",
  /** A folder is not empty, and was not to go with all that is in it. */
  "not_empty",
  /** A name is too long, a folder would go into itself, or the workspace itself is meant. */
  "bad_path",
  "bad_pattern",
  /** The bytes that came are not as many as were announced. */
  "aborted",
  /** There are more files, or folders in folders, than may be. */
  "too_many",
  /** It is no archive that can be read, or it is broken. */
  "bad_archive",
  /** An archive holds more than it may. */
  "too_much",
  /** The system refused for another reason: an error of the disk, too many open files. */
  "failed",
)
export type FileRefusal = typeof FileRefusal.Type

/** A file operation that the workspace refuses, with the reason in words. */
export class FileError extends Schema.TaggedError<FileError>()("FileError", {
  path: Schema.String,
  reason: Schema.Literal("too_large", ...FileRefusal.literals),
}) {
  override get message() {
    return `${this.path}: ${fileReasons[this.reason][1]}`
  }
  get code() {
    return fileReasons[this.reason][0]
  }
  get next() {
    return fileReasons[this.reason][2]
  }
}

const fileReasons = {
  outside: [
    "path_outside_workspace",
    "the path leads out of /workspace.",
    "Name a path inside /workspace; links out of it are not followed.",
  ],
  missing: [
    "not_found",
    "there is no such file or directory.",
    "Look with list_files, then name an existing path.",
  ],
  not_a_file: [
    "not_a_file",
    "this is not a regular file.",
    "Name a regular file; list_files shows what a path is.",
  ],
  not_a_directory: [
    "not_a_directory",
    "this is not a directory.",
    "Name a directory, or use read_file for a file.",
  ],
  too_large: [
    "file_too_large",
    "the file is larger than one call may carry.",
    "Make it with `exec` instead, in parts.",
  ],
  no_space: ["workspace_full", "the workspace is full.", "Delete files that are not needed, then try again."],
  denied: [
    "permission_denied",
    "the sandbox's user may not do that.",
    "Look at the permissions with `exec`: ls -la.",
  ],
  exists: ["already_exists", "something stands there already.", "Name another path, or ask to replace it."],
  not_empty: ["not_empty", "the directory is not empty.", "Ask for a recursive removal, or empty it first."],
  bad_path: [
    "bad_path",
    "no file can have this path here.",
    "Shorten it, or name a path inside /workspace that is not below itself.",
  ],
  bad_pattern: ["bad_pattern", "the pattern cannot be understood.", "Correct the pattern and call again."],
  aborted: ["aborted", "the content broke off; nothing was replaced.", "Send it again, whole."],
  too_many: ["too_many_files", "there are too many files.", "Delete files that are not needed."],
  bad_archive: [
    "bad_archive",
    "this is no archive that can be read, or it is broken.",
    "Send a whole tar.gz, tar or zip, without encryption; what was unpacked until then stays.",
  ],
  too_much: [
    "archive_too_large",
    "the archive holds more than it may.",
    "Leave out what is not needed, or send it in parts; what was unpacked until then stays.",
  ],
  failed: ["io_error", "the system could not do that.", "Try again; look at the disk with `exec`: df."],
} as const

const describe = (cause: unknown) =>
  cause instanceof Error ? cause.message.replace(/\s+/g, " ").slice(0, 300) : String(cause).slice(0, 300)
