/**
 * Files by the agent inside the container, so that no path reaches the node. What the agent says is decoded and
 * bounded here; one that sends more than was asked for costs its sandbox.
 */
import { type Cause, Chunk, Effect, Queue, Schema, Stream, Take } from "effect"
import type { Channel } from "../agent/Channel.ts"
import * as Protocol from "../agent/files/FileProtocol.ts"
import { FileError, type FileRefusal, type SandboxLost } from "../domain/SandboxError.ts"
import type { AgentLink } from "./AgentLink.ts"
import { Chunks } from "./Chunks.ts"
import type { SandboxFiles } from "./Sandbox.ts"

type Failure = FileError | SandboxLost

/** What of a link its files need. */
export type FileLink = Pick<AgentLink, "ask" | "open" | "giveUp">

/** All that an agent does with files; see `FileProtocol.ts` for each. Paths in answers are relative to /workspace. */
export interface WorkspaceFiles extends SandboxFiles {
  readonly readLines: (
    path: string,
    firstLine: number,
    lines: number,
    maxBytes: number,
  ) => Effect.Effect<{ readonly data: Uint8Array } & typeof Protocol.ReadLinesReply.Type, Failure>
  /** The bytes of a file as they come; whoever takes them slowly holds up nobody else. */
  readonly stream: (path: string, offset: number, length: number) => Stream.Stream<Uint8Array, Failure>
  /** As `write`, of `size` bytes. Where the source fails or is shorter or longer, nothing is replaced. */
  readonly writeStream: <E>(
    path: string,
    size: number,
    source: Stream.Stream<Uint8Array, E>,
  ) => Effect.Effect<void, Failure | E>
  /** Adds to the end of a file. */
  readonly append: (path: string, data: Uint8Array) => Effect.Effect<void, Failure>
  readonly stat: (path: string) => Effect.Effect<typeof Protocol.StatReply.Type, Failure>
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
}

export const make = (link: FileLink): WorkspaceFiles => {
  const perform = performing(link)

  const collect = <A extends { readonly bytes: number }, I>(
    operation: Protocol.Read | Protocol.ReadLines,
    reply: Schema.Schema<A, I>,
    limit: number,
  ) =>
    Effect.gen(function* () {
      const chunks = new Chunks()
      const answer = yield* perform(operation, reply, {
        limit,
        receive: (pieces) =>
          Effect.sync(() => {
            for (const piece of pieces) chunks.push(piece)
          }),
        isShort: true,
      })
      return { ...answer, data: new Uint8Array(chunks.last(chunks.size)) }
    })

  const writeStream = <E>(path: string, size: number, source: Stream.Stream<Uint8Array, E>) =>
    Effect.asVoid(perform({ op: "write", path, size }, Protocol.Done, { send: source }))

  return {
    read: (path, offset, length) => collect({ op: "read", path, offset, length }, Protocol.ReadReply, length),

    readLines: (path, firstLine, lines, maxBytes) =>
      collect({ op: "readLines", path, firstLine, lines, maxBytes }, Protocol.ReadLinesReply, maxBytes),

    stream: (path, offset, length) =>
      Stream.unwrapScoped(
        Effect.gen(function* () {
          const queue = yield* Queue.bounded<Take.Take<Uint8Array, Failure>>(1)
          const done = (cause: Cause.Cause<Failure>) => Queue.offer(queue, Take.failCause(cause))
          yield* perform({ op: "read", path, offset, length }, Protocol.ReadReply, {
            limit: length,
            receive: (pieces) => Queue.offer(queue, Take.chunk(pieces)),
          }).pipe(
            Effect.matchCauseEffect({ onFailure: done, onSuccess: () => Queue.offer(queue, Take.end) }),
            Effect.forkScoped,
          )
          return Stream.repeatEffectChunkOption(Effect.flatMap(Queue.take(queue), Take.done))
        }),
      ),

    write: (path, data) => writeStream(path, data.length, Stream.make(data)),
    writeStream,
    append: (path, data) =>
      Effect.asVoid(
        perform({ op: "append", path, size: data.length }, Protocol.Done, { send: Stream.make(data) }),
      ),

    stat: (path) => perform({ op: "stat", path }, Protocol.StatReply),
    list: (path, depth, limit) => perform({ op: "list", path, depth, limit }, Protocol.ListReply),
    makeFolder: (path) => Effect.asVoid(perform({ op: "mkdir", path }, Protocol.Done)),
    move: (from, to, replace) => Effect.asVoid(perform({ op: "move", from, to, replace }, Protocol.Done)),
    copy: (from, to, replace) => Effect.asVoid(perform({ op: "copy", from, to, replace }, Protocol.Done)),
    remove: (path, recursive) => Effect.asVoid(perform({ op: "remove", path, recursive }, Protocol.Done)),
    glob: (path, pattern, limit) => perform({ op: "glob", path, pattern, limit }, Protocol.GlobReply),
    grep: (query) => perform({ op: "grep", ...query }, Protocol.GrepReply),
    watch: perform({ op: "watch" }, Protocol.WatchReply),
    changes: (cursor, limit) => perform({ op: "changes", cursor, limit }, Protocol.ChangesReply),
  }
}

interface Transfer<E> {
  readonly send?: Stream.Stream<Uint8Array, E>
  /** Takes what has come; all of it at once, for waking a fiber for every piece would cost more than the pieces. */
  readonly receive?: (pieces: Chunk.Chunk<Uint8Array>) => Effect.Effect<unknown>
  /** Bytes that may come. */
  readonly limit?: number
  /** Nobody but the agent can hold it up. */
  readonly isShort?: boolean
}

/** Time for what nobody else holds up; an agent that answers everything but this is of no use. */
const patience = "5 minutes"

const performing =
  (link: FileLink) =>
  <A, I, E = never>(
    operation: Protocol.FileOperation,
    reply: Schema.Schema<A, I>,
    transfer: Transfer<E> = {},
  ): Effect.Effect<A, Failure | E> => {
    const nonsense = (why: string) => Effect.flatMap(link.giveUp(why), Effect.fail)

    const answered = (channel: number): Effect.Effect<A, Failure> =>
      Effect.flatMap(
        link.ask((id) => ({ type: "file", id, channel, request: operation })),
        ({ failure, value }): Effect.Effect<A, Failure> =>
          failure === undefined
            ? Effect.catchTag(Schema.decodeUnknown(reply)(value), "ParseError", () =>
                nonsense(`its answer to ${operation.op} makes no sense`),
              )
            : Effect.fail(new FileError({ path: pathOf(operation, failure), reason: failure })),
      )

    const patiently = <B, E2>(work: Effect.Effect<B, E2>): Effect.Effect<B, E2 | SandboxLost> =>
      Effect.flatten(
        Effect.timeoutTo(work, {
          duration: patience,
          onSuccess: Effect.succeed,
          onTimeout: () => nonsense(`it does not answer ${operation.op}`),
        }),
      )

    const { send, receive, limit = 0, isShort = false } = transfer
    if (send === undefined && receive === undefined) {
      return patiently(answered(0))
    }
    const streamed = Effect.acquireUseRelease(
      Effect.sync(() => new Line(link)),
      (line) =>
        Effect.map(
          Effect.all(
            [
              // What the agent does not want any more is not sent.
              Effect.raceFirst(
                answered(line.channel.id),
                send === undefined ? Effect.never : Effect.zipRight(line.send(send), Effect.never),
              ),
              line.receive(limit, receive, nonsense),
            ],
            { concurrency: 2 },
          ),
          ([answer]) => answer,
        ),
      (line) => Effect.sync(() => line.channel.close()),
    )
    return isShort ? patiently(streamed) : streamed
  }

/** The channel of one operation. */
class Line {
  readonly channel: Channel
  private readonly chunks = Effect.runSync(Queue.unbounded<Uint8Array | undefined>())
  private drained = () => {}

  constructor(link: FileLink) {
    this.channel = link.open({
      // Never more than the channel's window: only what `receive` has passed on is consumed.
      data: (chunk) => void Queue.unsafeOffer(this.chunks, chunk),
      end: () => void Queue.unsafeOffer(this.chunks, undefined),
      drain: () => this.drained(),
    })
  }

  send<E>(source: Stream.Stream<Uint8Array, E>) {
    return Effect.zipRight(
      Stream.runForEach(source, (chunk) =>
        Effect.async<void>((resume) => {
          this.drained = () => resume(Effect.void)
          this.channel.write(chunk)
          if (this.channel.waiting === 0) resume(Effect.void)
        }),
      ),
      Effect.sync(() => this.channel.end()),
    )
  }

  /** Until the agent has said all. */
  receive<E>(
    limit: number,
    take: Transfer<never>["receive"],
    nonsense: (why: string) => Effect.Effect<never, E>,
  ): Effect.Effect<void, E> {
    let left = limit
    const next: Effect.Effect<void, E> = Effect.flatMap(Queue.takeBetween(this.chunks, 1, 1024), (came) => {
      const pieces = Chunk.filter(came, (piece) => piece !== undefined)
      const bytes = Chunk.reduce(pieces, 0, (sum, { length }) => sum + length)
      left -= bytes
      if (left < 0 || (bytes > 0 && take === undefined)) {
        return nonsense("it sends more of a file than was asked for")
      }
      return Effect.flatMap(bytes === 0 || take === undefined ? Effect.void : take(pieces), () => {
        this.channel.consume(bytes)
        return pieces.length < came.length ? Effect.void : next
      })
    })
    return next
  }
}

const pathOf = (operation: Protocol.FileOperation, reason: FileRefusal) => {
  if ("path" in operation) return operation.path
  if ("to" in operation) return reason === "exists" || reason === "no_space" ? operation.to : operation.from
  return "/workspace"
}
