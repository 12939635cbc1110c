/**
 * One hardened container, as its session sees it. It belongs to the node that started it and ends with
 * `Sandboxes.remove`; a call on one that is gone fails with `SandboxLost`.
 */
import type { Effect } from "effect"
import type { CommandId, CommandPage, CommandSignal, CommandSpec, OutputCursor } from "../domain/Command.ts"
import type { ContainerId } from "../domain/Identity.ts"
import type { CommandNotStarted, SandboxLost } from "../domain/SandboxError.ts"
import type { Unavailable } from "../domain/SessionError.ts"
import type { SandboxFiles } from "./SandboxFiles.ts"
import type { Tunnel } from "./tunnel/Tunnel.ts"

export interface Sandbox {
  readonly id: ContainerId
  /**
   * Starts a command and returns at once; its output is kept, bounded, until `forget`. `Unavailable`: the node may not
   * act for the session.
   */
  readonly start: (spec: CommandSpec) => Effect.Effect<CommandId, SandboxLost | Unavailable>
  /**
   * What came since `after`. Waits up to `waitMs` milliseconds: until `output` there is something new or the
   * command has ended, until `end` only the latter.
   */
  readonly read: (
    id: CommandId,
    after: OutputCursor,
    waitMs: number,
    until: "output" | "end",
  ) => Effect.Effect<CommandPage, SandboxLost | CommandNotStarted>
  /** Writes to the standard input of a command that has it open; `end` closes it afterwards. */
  readonly write: (id: CommandId, data: Uint8Array, end: boolean) => Effect.Effect<void, SandboxLost>
  /** Sends a signal to every process of the command's tree. */
  readonly signal: (id: CommandId, signal: CommandSignal) => Effect.Effect<void, SandboxLost>
  /** Sets the size of a command's terminal. */
  readonly resize: (id: CommandId, columns: number, rows: number) => Effect.Effect<void, SandboxLost>
  /** Kills the command's whole process tree, daemons too. Does nothing to a command that has ended. */
  readonly cancel: (id: CommandId) => Effect.Effect<void, SandboxLost | CommandNotStarted>
  /** Drops what is kept of a command. One that still runs is killed. */
  readonly forget: (id: CommandId) => Effect.Effect<void>
  readonly files: SandboxFiles
  readonly network: Tunnel
  /** Its session was claimed in this term of the node's `Lease`; in another, nothing starts and nothing is reached. */
  readonly hold: (term: number | undefined) => void
}
