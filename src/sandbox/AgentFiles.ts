/**
 * Files by the agent inside the container, so that no path reaches the node. What the agent says is decoded and
 * bounded here; one that sends more than was asked for costs its sandbox.
 */
import { type Cause, Effect, Queue, type Schema, Stream, Take } from "effect"
import { type Pack, PackReply, UnpackReply } from "../agent/archive/ArchiveProtocol.ts"
import * as Protocol from "../agent/files/FileProtocol.ts"
import { type Failure, type FileLink, FileRequests } from "./FileRequests.ts"
import type { SandboxFiles } from "./SandboxFiles.ts"
import { Stillness } from "./Stillness.ts"

export const make = (link: FileLink, stillness = new Stillness()): SandboxFiles => {
  const requests = new FileRequests(link, stillness)

  const collect = <A extends { readonly bytes: number }, I>(
    operation: Protocol.Read | Protocol.ReadLines,
    reply: Schema.Schema<A, I>,
    limit: number,
  ) =>
    requests.exchange(operation, reply, { limit }).pipe(
      Effect.filterOrFail(
        ({ answer, data }) => answer.bytes === data.length,
        () => requests.unasked(operation),
      ),
      Effect.map(({ answer, data }) => ({ ...answer, data })),
    )

  /** Of an answer that has no more entries than were asked for. */
  const within = <A, I>(
    operation: Protocol.FileOperation & { readonly limit: number },
    reply: Schema.Schema<A, I>,
    count: (answer: A) => number,
  ): Effect.Effect<A, Failure> =>
    Effect.filterOrFail(
      requests.ask(operation, reply),
      (answer) => count(answer) <= operation.limit,
      () => requests.unasked(operation),
    )

  const put = (operation: Protocol.FileOperation, send: Uint8Array) =>
    Effect.asVoid(requests.exchange(operation, Protocol.Done, { send }))

  const turns = Effect.unsafeMakeSemaphore(1)

  const streamed = <A, I>(
    operation: Protocol.Read | Pack,
    reply: Schema.Schema<A, I>,
    limit: number,
    told: (answer: A) => void,
  ): Stream.Stream<Uint8Array, Failure> =>
    Stream.unwrapScoped(
      Effect.gen(function* () {
        const queue = yield* Queue.bounded<Take.Take<Uint8Array, Failure>>(1)
        const done = (cause: Cause.Cause<Failure>) => Queue.offer(queue, Take.failCause(cause))
        yield* requests
          .transfer(operation, reply, {
            limit,
            receive: (pieces) => Queue.offer(queue, Take.chunk(pieces)),
          })
          .pipe(
            Effect.tap((answer) => Effect.sync(() => told(answer))),
            Effect.matchCauseEffect({ onFailure: done, onSuccess: () => Queue.offer(queue, Take.end) }),
            Effect.forkScoped,
          )
        return Stream.repeatEffectChunkOption(Effect.flatMap(Queue.take(queue), Take.done))
      }),
    )

  return {
    exclusively: turns.withPermits(1),

    read: (path, offset, length) => collect({ op: "read", path, offset, length }, Protocol.ReadReply, length),

    readLines: (path, firstLine, lines, maxBytes) =>
      collect({ op: "readLines", path, firstLine, lines, maxBytes }, Protocol.ReadLinesReply, maxBytes),

    stream: (path, offset, length) =>
      streamed({ op: "read", path, offset, length }, Protocol.ReadReply, length, () => {}),

    write: (path, data, mode) =>
      put({ op: "write", path, size: data.length, ...(mode === undefined ? {} : { mode }) }, data),
    writeStream: (path, size, source) =>
      Effect.asVoid(requests.transfer({ op: "write", path, size }, Protocol.Done, { send: source })),
    append: (path, data) => put({ op: "append", path, size: data.length }, data),

    stat: (path) => requests.ask({ op: "stat", path }, Protocol.StatReply),
    list: (path, depth, limit) =>
      within({ op: "list", path, depth, limit }, Protocol.ListReply, ({ entries }) => entries.length),
    makeFolder: (path) => Effect.asVoid(requests.ask({ op: "mkdir", path }, Protocol.Done)),
    move: (from, to, replace) =>
      Effect.asVoid(requests.ask({ op: "move", from, to, replace }, Protocol.Done)),
    copy: (from, to, replace) =>
      Effect.asVoid(requests.ask({ op: "copy", from, to, replace }, Protocol.Done)),
    remove: (path, recursive) =>
      Effect.asVoid(requests.ask({ op: "remove", path, recursive }, Protocol.Done)),
    glob: (path, pattern, limit) =>
      within({ op: "glob", path, pattern, limit }, Protocol.GlobReply, ({ paths }) => paths.length),
    grep: (query) =>
      within({ op: "grep", ...query }, Protocol.GrepReply, ({ files }) =>
        files.reduce((sum, { lines }) => sum + lines.filter(({ match }) => match).length, 0),
      ),
    watch: requests.ask({ op: "watch" }, Protocol.WatchReply),
    changes: (cursor, limit) =>
      within({ op: "changes", cursor, limit }, Protocol.ChangesReply, ({ paths }) => paths.length),
    // Whoever reads it ends it where it is too long.
    pack: (query, told) => streamed({ op: "pack", ...query }, PackReply, Infinity, told),
    unpack: (query, archive) => requests.transfer({ op: "unpack", ...query }, UnpackReply, { send: archive }),
    isStill: (cursor) => stillness.isAt(cursor),
    snapshot: (query, limit, receive) =>
      requests.transfer({ op: "snapshot", ...query }, Protocol.SnapshotReply, { limit, receive }),
    restore: (source) => requests.transfer({ op: "restore" }, Protocol.RestoreReply, { send: source }),
  }
}
