/**
 * What a node asks an agent about files: what is decoded, bounded and given up where the agent does not do as it
 * should. One that sends more than was asked for costs its sandbox.
 */
import { Chunk, Duration, Effect, Fiber, Queue, Schema, Stream } from "effect"
import type { Channel } from "../agent/Channel.ts"
import { Chunks } from "../agent/Chunks.ts"
import type { FileOperation } from "../agent/files/FileProtocol.ts"
import { milliseconds } from "../domain/Monotonic.ts"
import { FileError, type FileRefusal, type SandboxLost } from "../domain/SandboxError.ts"
import { Waiters } from "../domain/Waiters.ts"
import type { AgentLink, AskOptions } from "./AgentLink.ts"
import type { Stillness } from "./Stillness.ts"

export type Failure = FileError | SandboxLost

/** What of a link its files need. */
export type FileLink = Pick<AgentLink, "ask" | "open" | "giveUp" | "whenLost">

interface Exchanged<A> {
  readonly answer: A
  /** What came with it. */
  readonly data: Uint8Array
}

interface Transfer<E> {
  readonly send?: Stream.Stream<Uint8Array, E>
  /** Takes what has come; all of it at once, for waking a fiber for every piece would cost more than the pieces. */
  readonly receive?: (pieces: Chunk.Chunk<Uint8Array>) => Effect.Effect<unknown>
  /** Bytes that may come. */
  readonly limit?: number
}

/** What may change files. */
const changing = new Set<FileOperation["op"]>([
  "write",
  "append",
  "mkdir",
  "move",
  "copy",
  "remove",
  "restore",
  "unpack",
])

/** Time for what nobody else holds up; an agent that answers everything but this is of no use. */
const patience = "5 minutes"

type Patiently = <A, E>(work: Effect.Effect<A, E>) => Effect.Effect<A, E | SandboxLost>

export class FileRequests {
  private readonly link: FileLink
  private readonly stillness: Stillness
  /** Woken by the end of what comes with an answer, and by the loss of the sandbox. */
  private readonly waiters = new Waiters()
  private isLost = false

  constructor(link: FileLink, stillness: Stillness) {
    this.link = link
    this.stillness = stillness
    link.whenLost(() => {
      this.isLost = true
      this.waiters.wake()
    })
  }

  /** One that has no bytes beside it. */
  ask<A, I>(operation: FileOperation, reply: Schema.Schema<A, I>) {
    return this.answered(operation, reply, 0)
  }

  /** One whose bytes are in memory at once: what is sent with it, and up to `limit` that come. */
  exchange<A, I>(
    operation: FileOperation,
    reply: Schema.Schema<A, I>,
    { limit = 0, send }: { readonly send?: Uint8Array; readonly limit?: number },
  ): Effect.Effect<Exchanged<A>, Failure> {
    return Effect.acquireUseRelease(
      Effect.sync(() => {
        const came = new Chunks()
        const state = { isOver: false }
        const channel: Channel = this.link.open({
          data: (chunk) => {
            if (came.size + chunk.length > limit) return void this.link.giveUp(tooMuch)
            came.push(chunk)
            channel.consume(chunk.length)
          },
          end: () => {
            state.isOver = true
            this.waiters.wake()
          },
        })
        return { came, channel, state }
      }),
      ({ came, channel, state }) => {
        const answered = this.answered(operation, reply, channel.id, {
          sent: () => {
            if (send === undefined) return
            channel.write(send)
            channel.end()
          },
        })
        // Its caller may be one that is not to be interrupted: no race, which would never end then.
        const ended = this.waiters.until(() => state.isOver || this.isLost, Duration.toMillis(patience))
        return Effect.flatMap(answered, (answer) =>
          Effect.flatMap(ended, () =>
            state.isOver
              ? Effect.succeed({ answer, data: new Uint8Array(came.last(came.size)) })
              : this.silence(operation),
          ),
        )
      },
      ({ channel, state }) => Effect.sync(() => channel.close(!state.isOver)),
    )
  }

  /** One whose bytes come from somewhere, or go there, as fast as that may be. */
  transfer<A, I, E = never>(
    operation: FileOperation,
    reply: Schema.Schema<A, I>,
    { limit = 0, receive, send }: Transfer<E>,
  ): Effect.Effect<A, Failure | E> {
    const patiently = this.patiently(operation)
    return Effect.acquireUseRelease(
      Effect.sync(() => new Line(this.link)),
      (line) =>
        Effect.gen(this, function* () {
          const answer = yield* Effect.fork(
            this.answered(operation, reply, line.channel.id, { isHeldUp: true }),
          )
          const lost = Effect.matchEffect(Fiber.join(answer), {
            onFailure: (error) => (error._tag === "SandboxLost" ? Effect.fail(error) : Effect.never),
            onSuccess: () => Effect.never,
          })
          // What the agent does not want any more is not sent.
          const sent =
            send === undefined
              ? Effect.void
              : Effect.raceFirst(line.send(send, patiently), Fiber.await(answer))
          const received = line.receive(limit, receive, this.giveUp(tooMuch), this.silence(operation))
          yield* Effect.raceFirst(Effect.zipRight(sent, received), lost)
          return yield* patiently(Fiber.join(answer))
        }),
      (line) => Effect.sync(() => line.channel.close()),
      // Where its caller may not be interrupted, what is raced and timed here still has to be: it would never end.
    ).pipe(Effect.interruptible)
  }

  /** The agent says what it was not asked for. */
  unasked({ op }: FileOperation) {
    return this.link.giveUp(`its answer to ${op} is not what was asked for`)
  }

  private answered<A, I>(
    operation: FileOperation,
    reply: Schema.Schema<A, I>,
    channel: number,
    options?: AskOptions,
  ): Effect.Effect<A, Failure> {
    const asked = Effect.flatMap(
      this.link.ask((id) => ({ type: "file", id, channel, request: operation }), options),
      ({ failure, value }): Effect.Effect<A, Failure> =>
        failure === undefined
          ? Effect.mapError(Schema.decodeUnknown(reply)(value), () =>
              this.link.giveUp(`its answer to ${operation.op} makes no sense`),
            )
          : Effect.fail(new FileError({ path: pathOf(operation, failure), reason: failure })),
    )
    return changing.has(operation.op)
      ? Effect.acquireUseRelease(
          Effect.sync(() => this.stillness.begin()),
          () => asked,
          () => Effect.sync(() => this.stillness.end(null)),
        )
      : asked
  }

  private giveUp(why: string) {
    return Effect.suspend(() => Effect.fail(this.link.giveUp(why)))
  }

  private silence({ op }: FileOperation) {
    return this.giveUp(`it does not answer ${op}`)
  }

  private patiently(operation: FileOperation): Patiently {
    return (work) =>
      Effect.flatten(
        Effect.timeoutTo(work, {
          duration: patience,
          onSuccess: Effect.succeed,
          onTimeout: () => this.silence(operation),
        }),
      )
  }
}

const tooMuch = "it sends more of a file than was asked for"

/** The channel of one transfer. */
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
    tooMuch: Effect.Effect<never, SandboxLost>,
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
      if (left < 0 || (bytes > 0 && take === undefined)) return tooMuch
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

const pathOf = (operation: FileOperation, reason: FileRefusal) => {
  if ("path" in operation) return operation.path
  if ("to" in operation) return reason === "exists" || reason === "no_space" ? operation.to : operation.from
  return "/workspace"
}
