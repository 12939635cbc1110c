/**
 * Files by the agent inside the container, so that no path reaches the node. What the agent says is decoded and
 * bounded here; one that sends more than was asked for costs its sandbox.
 */
import { type Cause, Chunk, Duration, Effect, Fiber, Queue, Schema, Stream, Take } from "effect"
import { type Pack, PackReply, UnpackReply } from "../agent/archive/ArchiveProtocol.ts"
import type { Channel } from "../agent/Channel.ts"
import * as Protocol from "../agent/files/FileProtocol.ts"
import { FileError, type FileRefusal, type SandboxLost } from "../domain/SandboxError.ts"
import { milliseconds } from "../domain/Monotonic.ts"
import type { AgentLink } from "./AgentLink.ts"
import { Chunks } from "../agent/Chunks.ts"
import type { SandboxFiles } from "./SandboxFiles.ts"

type Failure = FileError | SandboxLost

/** What of a link its files need. */
export type FileLink = Pick<AgentLink, "ask" | "open" | "giveUp">

export const make = (link: FileLink): SandboxFiles => {
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
      if (answer.bytes !== chunks.size) return yield* tooMuch(link, operation.op)
      return { ...answer, data: new Uint8Array(chunks.last(chunks.size)) }
    })

  /** Of an answer that has no more entries than were asked for. */
  const within =
    <A>(op: string, limit: number, count: (answer: A) => number) =>
    (answer: Effect.Effect<A, Failure>): Effect.Effect<A, Failure> =>
      Effect.filterOrElse(
        answer,
        (answer) => count(answer) <= limit,
        () => tooMuch(link, op),
      )

  const writeStream = <E>(path: string, size: number, source: Stream.Stream<Uint8Array, E>, mode?: number) =>
    Effect.asVoid(
      perform({ op: "write", path, size, ...(mode === undefined ? {} : { mode }) }, Protocol.Done, {
        send: source,
      }),
    )

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
        yield* perform(operation, reply, {
          limit,
          receive: (pieces) => Queue.offer(queue, Take.chunk(pieces)),
        }).pipe(
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

    write: (path, data, mode) => writeStream(path, data.length, Stream.make(data), mode),
    writeStream: (path, size, source) => writeStream(path, size, source),
    append: (path, data) =>
      Effect.asVoid(
        perform({ op: "append", path, size: data.length }, Protocol.Done, { send: Stream.make(data) }),
      ),

    stat: (path) => perform({ op: "stat", path }, Protocol.StatReply),
    list: (path, depth, limit) =>
      perform({ op: "list", path, depth, limit }, Protocol.ListReply).pipe(
        within("list", limit, ({ entries }) => entries.length),
      ),
    makeFolder: (path) => Effect.asVoid(perform({ op: "mkdir", path }, Protocol.Done)),
    move: (from, to, replace) => Effect.asVoid(perform({ op: "move", from, to, replace }, Protocol.Done)),
    copy: (from, to, replace) => Effect.asVoid(perform({ op: "copy", from, to, replace }, Protocol.Done)),
    remove: (path, recursive) => Effect.asVoid(perform({ op: "remove", path, recursive }, Protocol.Done)),
    glob: (path, pattern, limit) =>
      perform({ op: "glob", path, pattern, limit }, Protocol.GlobReply).pipe(
        within("glob", limit, ({ paths }) => paths.length),
      ),
    grep: (query) =>
      perform({ op: "grep", ...query }, Protocol.GrepReply).pipe(
        within("grep", query.limit, ({ files }) =>
          files.reduce((sum, { lines }) => sum + lines.filter(({ match }) => match).length, 0),
        ),
      ),
    watch: perform({ op: "watch" }, Protocol.WatchReply),
    changes: (cursor, limit) =>
      perform({ op: "changes", cursor, limit }, Protocol.ChangesReply).pipe(
        within("changes", limit, ({ paths }) => paths.length),
      ),
    // Whoever reads it ends it where it is too long.
    pack: (query, told) => streamed({ op: "pack", ...query }, PackReply, Infinity, told),
    unpack: (query, archive) => perform({ op: "unpack", ...query }, UnpackReply, { send: archive }),
    snapshot: (query, limit, receive) =>
      perform({ op: "snapshot", ...query }, Protocol.SnapshotReply, { limit, receive }),
    restore: (source) => perform({ op: "restore" }, Protocol.RestoreReply, { send: source }),
  }
}

const tooMuch = (link: FileLink, op: string) =>
  Effect.flatMap(link.giveUp(`its answer to ${op} is not what was asked for`), Effect.fail)

interface Transfer<E> {
  readonly send?: Stream.Stream<Uint8Array, E>
  /** Takes what has come; all of it at once, for waking a fiber for every piece would cost more than the pieces. */
  readonly receive?: (pieces: Chunk.Chunk<Uint8Array>) => Effect.Effect<unknown>
  /** Bytes that may come. */
  readonly limit?: number
  /** Nobody but the agent can hold it up, from its beginning to its end. */
  readonly isShort?: boolean
}

/** Time for what nobody else holds up; an agent that answers everything but this is of no use. */
const patience = "5 minutes"

type Patiently = <A, E>(work: Effect.Effect<A, E>) => Effect.Effect<A, E | SandboxLost>

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

    const silence = Effect.suspend(() => nonsense(`it does not answer ${operation.op}`))

    const patiently: Patiently = (work) =>
      Effect.flatten(
        Effect.timeoutTo(work, {
          duration: patience,
          onSuccess: Effect.succeed,
          onTimeout: () => silence,
        }),
      )

    const { send, receive, limit = 0, isShort = false } = transfer
    // Where its caller may not be interrupted, what is raced and timed here still has to be: it would never end.
    if (send === undefined && receive === undefined) {
      return Effect.interruptible(patiently(answered(0)))
    }
    const streamed = Effect.acquireUseRelease(
      Effect.sync(() => new Line(link)),
      (line) =>
        Effect.gen(function* () {
          const answer = yield* Effect.fork(answered(line.channel.id))
          const lost = Effect.matchEffect(Fiber.join(answer), {
            onFailure: (error) => (error._tag === "SandboxLost" ? Effect.fail(error) : Effect.never),
            onSuccess: () => Effect.never,
          })
          // What the agent does not want any more is not sent.
          const sent =
            send === undefined
              ? Effect.void
              : Effect.raceFirst(line.send(send, patiently), Fiber.await(answer))
          const received = line.receive(limit, receive, nonsense, silence)
          yield* Effect.raceFirst(Effect.zipRight(sent, received), lost)
          return yield* isShort ? Fiber.join(answer) : patiently(Fiber.join(answer))
        }),
      (line) => Effect.sync(() => line.channel.close()),
    )
    return Effect.interruptible(isShort ? patiently(streamed) : streamed)
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

  send<E>(source: Stream.Stream<Uint8Array, E>, patiently: Patiently) {
    return Effect.zipRight(
      Stream.runForEach(source, (chunk) => {
        this.channel.write(chunk)
        return this.channel.waiting === 0 ? Effect.void : patiently(this.drains)
      }),
      Effect.sync(() => this.channel.end()),
    )
  }

  private readonly drains = Effect.async<void>((resume) => {
    this.drained = () => resume(Effect.void)
    if (this.channel.waiting === 0) resume(Effect.void)
  })

  /** Until the agent has said all. One timer watches whether it falls silent: one for each piece costs more than the piece. */
  receive(
    limit: number,
    take: Transfer<never>["receive"],
    nonsense: (why: string) => Effect.Effect<never, SandboxLost>,
    silence: Effect.Effect<never, SandboxLost>,
  ): Effect.Effect<void, SandboxLost> {
    let left = limit
    /** In milliseconds; none while nothing is waited for. */
    let waitsSince: number | undefined
    const piece = Effect.flatMap(milliseconds, (now) => {
      waitsSince = now
      return Effect.tap(Queue.takeBetween(this.chunks, 1, 1024), () => {
        waitsSince = undefined
      })
    })
    const next: Effect.Effect<void, SandboxLost> = Effect.flatMap(piece, (came) => {
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
    const watch: Effect.Effect<never, SandboxLost> = Effect.flatMap(milliseconds, (now) => {
      const left = (waitsSince ?? now) + Duration.toMillis(patience) - now
      return left > 0 ? Effect.zipRight(Effect.sleep(left), watch) : silence
    })
    return Effect.raceFirst(next, watch)
  }
}

const pathOf = (operation: Protocol.FileOperation, reason: FileRefusal) => {
  if ("path" in operation) return operation.path
  if ("to" in operation) return reason === "exists" || reason === "no_space" ? operation.to : operation.from
  return "/workspace"
}
