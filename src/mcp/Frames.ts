/**
 * What a stream has for its client and the client has not taken: bounded in bytes, so that a slow one costs no more
 * than that. Who adds more waits; the operation's log holds the rest.
 */
import { Effect, Option, Queue, Stream } from "effect"

export interface Frames {
  /** Waits for room. */
  readonly add: (frame: Uint8Array) => Effect.Effect<void>
  readonly end: Effect.Effect<void>
  /** All of them, to the end. */
  readonly stream: Stream.Stream<Uint8Array>
}

export const make = Effect.gen(function* () {
  const frames = yield* Queue.unbounded<Uint8Array | undefined>()
  const room = yield* Effect.makeSemaphore(maxWaiting)
  const next = Queue.take(frames).pipe(
    Effect.filterOrFail((frame) => frame !== undefined, Option.none),
    Effect.tap((frame) => room.release(sizeOf(frame))),
  )
  return {
    add: (frame) => Effect.zipRight(room.take(sizeOf(frame)), Queue.offer(frames, frame)),
    end: Effect.asVoid(Queue.offer(frames, undefined)),
    stream: Stream.repeatEffectOption(next),
  } satisfies Frames
})

/** Bytes. A frame that is larger waits until it is the only one. */
const maxWaiting = 128 * 1024

/** At least what the smallest takes with all that is around it. */
const sizeOf = ({ length }: Uint8Array) => Math.min(Math.max(length, 512), maxWaiting)
