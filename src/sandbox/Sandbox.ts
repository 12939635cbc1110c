/**
 * One hardened container, as its session sees it. It belongs to the node that started it and ends with
 * `Sandboxes.remove`; a call on one that is gone fails with `SandboxLost`.
 */
import type { Effect } from "effect"
import type { CommandId, CommandPage, CommandSignal, CommandSpec, OutputCursor } from "../domain/Command.ts"
import type { ContainerId } from "../domain/Identity.ts"
import type { CommandNotStarted, FileError, SandboxError, SandboxLost } from "../domain/SandboxError.ts"

type Broken = SandboxError | SandboxLost

export interface Sandbox {
  readonly id: ContainerId
  /** Starts a command and returns at once; its output is kept, bounded, until `forget`. */
  readonly start: (spec: CommandSpec) => Effect.Effect<CommandId, Broken>
  /**
   * What came since `after`. Waits up to `waitMs` milliseconds: until `output` there is something new or the
   * command has ended, until `end` only the latter.
   */
  readonly read: (
    id: CommandId,
    after: OutputCursor,
    waitMs: number,
    until: "output" | "end",
  ) => Effect.Effect<CommandPage, Broken | CommandNotStarted>
  /** Writes to the standard input of a command that has it open; `end` closes it afterwards. */
  readonly write: (id: CommandId, data: Uint8Array, end: boolean) => Effect.Effect<void, Broken>
  /** Sends a signal to every process of the command's tree. */
  readonly signal: (id: CommandId, signal: CommandSignal) => Effect.Effect<void, Broken>
  /** Sets the size of a command's terminal. */
  readonly resize: (id: CommandId, columns: number, rows: number) => Effect.Effect<void, Broken>
  /** Kills the command's whole process tree, daemons too. Does nothing to a command that has ended. */
  readonly cancel: (id: CommandId) => Effect.Effect<void, Broken | CommandNotStarted>
  /** Drops what is kept of a command. One that still runs is killed. */
  readonly forget: (id: CommandId) => Effect.Effect<void>
  readonly files: SandboxFiles
}

/** Files below /workspace, by absolute path. A path that leads out, also through links, is refused. */
export interface SandboxFiles {
  /** Up to `length` bytes from `offset`, and the size of the whole file. */
  readonly read: (
    path: string,
    offset: number,
    length: number,
  ) => Effect.Effect<{ readonly data: Uint8Array; readonly size: number }, Broken | FileError>
  /** Replaces or makes the file, with the folders above it, in one step: no reader sees half of it. */
  readonly write: (path: string, data: Uint8Array) => Effect.Effect<void, Broken | FileError>
  /** The entries below a folder, `depth` levels deep, in order of their paths; `limit` at most. */
  readonly list: (
    path: string,
    depth: number,
    limit: number,
  ) => Effect.Effect<
    { readonly entries: ReadonlyArray<FileEntry>; readonly truncated: boolean },
    Broken | FileError
  >
}

interface FileEntry {
  /** Relative to /workspace. */
  readonly path: string
  readonly kind: "file" | "directory" | "link" | "other"
  /** In bytes. */
  readonly size: number
}
