/**
 * The files of one sandbox, below /workspace, by absolute path. A path that leads out, also through links, is refused.
 * `FileProtocol.ts` says what each operation does.
 */
import type { Chunk, Effect, Stream } from "effect"
import type * as Archives from "../agent/archive/ArchiveProtocol.ts"
import type * as Protocol from "../agent/files/FileProtocol.ts"
import type { FileError, SandboxLost } from "../domain/SandboxError.ts"

type Failure = FileError | SandboxLost

/** Paths in answers are relative to /workspace. Sizes and offsets are in bytes. */
export interface SandboxFiles {
  /**
   * Work that changes files, one at a time: what it read is still so when it writes, as far as other such work goes.
   * Commands of the sandbox wait for nobody.
   */
  readonly exclusively: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Up to `length` bytes from `offset`, with the size of the whole file. */
  readonly read: (
    path: string,
    offset: number,
    length: number,
  ) => Effect.Effect<{ readonly data: Uint8Array } & typeof Protocol.ReadReply.Type, Failure>
  readonly readLines: (
    path: string,
    firstLine: number,
    lines: number,
    maxBytes: number,
  ) => Effect.Effect<{ readonly data: Uint8Array } & typeof Protocol.ReadLinesReply.Type, Failure>
  /** The bytes of a file as they come; whoever takes them slowly holds up nobody else. */
  readonly stream: (path: string, offset: number, length: number) => Stream.Stream<Uint8Array, Failure>
  /**
   * Replaces or makes the file, with the folders above it, in one step: no reader sees half of it. It has these
   * permission bits; otherwise those of the file that was there, or the usual.
   */
  readonly write: (path: string, data: Uint8Array, mode?: number) => Effect.Effect<void, Failure>
  /** As `write`, of `size` bytes. Where the source fails or is shorter or longer, nothing is replaced. */
  readonly writeStream: <E>(
    path: string,
    size: number,
    source: Stream.Stream<Uint8Array, E>,
  ) => Effect.Effect<void, Failure | E>
  /** Adds to the end of a file. */
  readonly append: (path: string, data: Uint8Array) => Effect.Effect<void, Failure>
  readonly stat: (path: string) => Effect.Effect<typeof Protocol.StatReply.Type, Failure>
  /** The entries below a folder, `depth` levels deep, in order of their paths; `limit` at most. */
  readonly list: (
    path: string,
    depth: number,
    limit: number,
  ) => Effect.Effect<typeof Protocol.ListReply.Type, Failure>
  readonly makeFolder: (path: string) => Effect.Effect<void, Failure>
  readonly move: (from: string, to: string, replace: boolean) => Effect.Effect<void, Failure>
  readonly copy: (from: string, to: string, replace: boolean) => Effect.Effect<void, Failure>
  readonly remove: (path: string, recursive: boolean) => Effect.Effect<void, Failure>
  readonly glob: (
    path: string,
    pattern: string,
    limit: number,
  ) => Effect.Effect<typeof Protocol.GlobReply.Type, Failure>
  readonly grep: (query: Omit<Protocol.Grep, "op">) => Effect.Effect<typeof Protocol.GrepReply.Type, Failure>
  /** Begins to watch; gives the cursor to ask `changes` with. */
  readonly watch: Effect.Effect<typeof Protocol.WatchReply.Type, Failure>
  readonly changes: (
    cursor: string,
    limit: number,
  ) => Effect.Effect<typeof Protocol.ChangesReply.Type, Failure>
  /** The files below a folder as an archive; `told` is what that came to, once all has come. */
  readonly pack: (
    query: Omit<Archives.Pack, "op">,
    told: (reply: typeof Archives.PackReply.Type) => void,
  ) => Stream.Stream<Uint8Array, Failure>
  /** Makes files of an archive. */
  readonly unpack: <E>(
    query: Omit<Archives.Unpack, "op">,
    archive: Stream.Stream<Uint8Array, E>,
  ) => Effect.Effect<typeof Archives.UnpackReply.Type, Failure | E>
  /**
   * Whether nothing has changed since `snapshot` or `restore` gave a cursor, as the last command ended, and nothing was
   * asked since that changes files. What a program does of itself meanwhile is not counted.
   */
  readonly isStill: (cursor: string) => boolean
  /** Hands over the records of the session's files; more than `limit` bytes cost the sandbox. */
  readonly snapshot: (
    query: Omit<Protocol.Snapshot, "op">,
    limit: number,
    receive: (pieces: Chunk.Chunk<Uint8Array>) => Effect.Effect<unknown>,
  ) => Effect.Effect<typeof Protocol.SnapshotReply.Type, Failure>
  /** Makes the session's files of records, in a sandbox in which nothing was done yet. */
  readonly restore: <E>(
    source: Stream.Stream<Uint8Array, E>,
  ) => Effect.Effect<typeof Protocol.RestoreReply.Type, Failure | E>
}
