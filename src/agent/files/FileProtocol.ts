/**
 * The file operations of a sandbox: what a node asks, and what its agent answers. Paths are absolute and below
 * /workspace; links are followed as long as they stay there. A name's byte that is no UTF-8 stands in a path as the
 * character U+F700 plus the byte, so every file has one name, which every JSON reader can carry; see `Names.ts`.
 *
 * What is long goes on the operation's channel. The node ends its direction of one that it writes, and closes one
 * that it gives up; the agent ends its own when all is said, also where the operation failed.
 */
import { Schema } from "effect"
import type { Pack, Unpack } from "../archive/ArchiveProtocol.ts"

/** Up to `length` bytes from `offset`, on the channel. */
export interface Read {
  readonly op: "read"
  readonly path: string
  readonly offset: number
  readonly length: number
}

/** Up to `lines` lines from `firstLine`, which counts from 1, but no more than `maxBytes` bytes, on the channel. */
export interface ReadLines {
  readonly op: "readLines"
  readonly path: string
  readonly firstLine: number
  readonly lines: number
  readonly maxBytes: number
}

/**
 * Replaces or makes a file in one step, with the folders above it, by the `size` bytes that come on the channel. Where
 * fewer or more come before its end, nothing is replaced. Without permission bits in `mode` it keeps its own.
 */
export interface Write {
  readonly op: "write"
  readonly path: string
  readonly size: number
  readonly mode?: number
}

/** Adds the `size` bytes that come on the channel to a file. What came before a failure stays. */
export interface Append {
  readonly op: "append"
  readonly path: string
  readonly size: number
}

export interface Stat {
  readonly op: "stat"
  readonly path: string
}

/** The entries below a folder, `depth` levels deep, in order of their paths' bytes. */
export interface List {
  readonly op: "list"
  readonly path: string
  readonly depth: number
  readonly limit: number
}

/** Makes a folder and those above it; one that is there already is fine. */
export interface MakeFolder {
  readonly op: "mkdir"
  readonly path: string
}

/** Gives a file, folder or link another name. Folders above it are made. What stands there goes only with `replace`. */
export interface Move {
  readonly op: "move"
  readonly from: string
  readonly to: string
  readonly replace: boolean
}

/** Copies a file, a link, or a folder with all that is in it; `to` is there wholly or not at all. */
export interface Copy {
  readonly op: "copy"
  readonly from: string
  readonly to: string
  readonly replace: boolean
}

/** Removes a file, a link, or a folder: with all that is in it where `recursive`. */
export interface Remove {
  readonly op: "remove"
  readonly path: string
  readonly recursive: boolean
}

/**
 * The files below a folder whose paths match, in order of their paths. A pattern without a slash is for names at any
 * depth; otherwise it is for paths below the folder. It knows `*`, `**`, `?`, `[a-z]`, `{a,b}` and `\`. Files that a
 * `.gitignore` names, and `.git`, are left out.
 */
export interface Glob {
  readonly op: "glob"
  readonly path: string
  readonly pattern: string
  readonly limit: number
}

/**
 * The lines that match a regular expression, in the text files below a folder or in one file, with `context` lines
 * around. The expression is ripgrep's, or JavaScript's where the image has no ripgrep. `glob` is as in `Glob`.
 */
export interface Grep {
  readonly op: "grep"
  readonly path: string
  readonly pattern: string
  readonly glob: string | null
  readonly literal: boolean
  readonly ignoreCase: boolean
  readonly context: number
  /** Matching lines, at most. */
  readonly limit: number
  /** Bytes of text, at most. */
  readonly maxBytes: number
}

/** Watches the workspace from now on, if not before; what changes from now on is what comes after the cursor. */
interface Watch {
  readonly op: "watch"
}

/** The paths that changed after a cursor, up to `limit`. */
export interface Changes {
  readonly op: "changes"
  readonly cursor: string
  readonly limit: number
}

/**
 * The session's files, /workspace and HOME, as the records of `snapshot/Records.ts` on the channel: those that changed
 * after a cursor, each with all below it, after the word that what stood there is gone. Where nobody knows what changed,
 * those that differ from what was sent for the cursor; where that is not known either, and without a cursor, all of them.
 */
export interface Snapshot {
  readonly op: "snapshot"
  readonly after: string | null
  /** Paths as records have them that are left out, with all below them. */
  readonly exclude: ReadonlyArray<string>
  /** Refused where there are more. */
  readonly maxEntries: number
}

/** Makes files of the records that come on the channel, where nothing is and no program runs. */
export interface Restore {
  readonly op: "restore"
}

export type FileOperation =
  | Read
  | ReadLines
  | Write
  | Append
  | Stat
  | List
  | MakeFolder
  | Move
  | Copy
  | Remove
  | Glob
  | Grep
  | Watch
  | Changes
  | Snapshot
  | Restore
  | Pack
  | Unpack

const Count = Schema.NonNegativeInt
const Path = Schema.String.pipe(Schema.maxLength(8192))

/** `bytes` is how many came on the channel; fewer than asked for where the file ends. */
export const ReadReply = Schema.Struct({
  /** Of the whole file, in bytes. */
  size: Count,
  /** Permission bits. */
  mode: Count,
  bytes: Count,
})

export const ReadLinesReply = Schema.Struct({
  ...ReadReply.fields,
  /** The byte that the first line begins with. */
  offset: Count,
  /** Lines that came, with one that is cut. */
  lines: Count,
  /** The last line goes on past `maxBytes`. */
  cut: Schema.Boolean,
  /** Of the whole file; null where it is too large to count. */
  totalLines: Schema.NullOr(Count),
})

/** Nothing to tell but that it is done. */
export const Done = Schema.Struct({})

export const EntryKind = Schema.Literal("file", "directory", "link", "other")
export type EntryKind = typeof EntryKind.Type

export const StatReply = Schema.Struct({
  /** Relative to /workspace, with all links resolved; empty for /workspace. */
  path: Path,
  kind: EntryKind,
  size: Count,
  mode: Count,
  /** Milliseconds since 1970. */
  modified: Schema.Number,
})

export const ListReply = Schema.Struct({
  entries: Schema.Array(
    Schema.Struct({
      /** Relative to /workspace. */
      path: Path,
      kind: EntryKind,
      /** In bytes. */
      size: Count,
    }),
  ),
  truncated: Schema.Boolean,
})

export const GlobReply = Schema.Struct({
  /** Relative to /workspace. */
  paths: Schema.Array(Path),
  /** The limit was met, or the time was over: there may be more. */
  truncated: Schema.Boolean,
})

export const GrepReply = Schema.Struct({
  files: Schema.Array(
    Schema.Struct({
      /** Relative to /workspace. */
      path: Path,
      lines: Schema.Array(
        Schema.Struct({
          line: Schema.Positive.pipe(Schema.int()),
          /** Without its end, and cut where it is very long. */
          text: Schema.String.pipe(Schema.maxLength(1024)),
          /** It matches; otherwise it is there as context. */
          match: Schema.Boolean,
        }),
      ),
    }),
  ),
  /** A limit was met, or the time was over: there may be more. */
  truncated: Schema.Boolean,
  /** The time was over: an expression that takes for ever, or a very large folder. */
  timedOut: Schema.Boolean,
  /** Files whose contents could not be searched, for their names are no text. */
  skipped: Count,
})

/** A place in the order of changes; it means nothing to another agent. */
const Cursor = Schema.String.pipe(Schema.maxLength(64))

export const WatchReply = Schema.Struct({ cursor: Cursor })

export const ChangesReply = Schema.Struct({
  /**
   * Relative to /workspace, each once: made, changed, removed or renamed. All that is below a folder named here may
   * have changed too. Where `overflow`, anything may have changed: look at everything, from this cursor on.
   */
  paths: Schema.Array(Path),
  overflow: Schema.Boolean,
  cursor: Cursor,
  /** There is more: ask again from this cursor. */
  more: Schema.Boolean,
})

/** The cursors of both folders, and of what was sent. */
export const SnapshotCursor = Schema.String.pipe(Schema.maxLength(192))

export const SnapshotReply = Schema.Struct({
  cursor: SnapshotCursor,
  /** All files came, and what did not come is gone. */
  whole: Schema.Boolean,
  /** Files that were being written while they were read. */
  unstable: Count,
})

export const RestoreReply = Schema.Struct({ cursor: SnapshotCursor })
