import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Fiber, Ref, Stream } from "effect"
import * as Frames from "../../src/mcp/Frames.ts"

const KiB = 1024

/** Adds frames of a size until there is no more room, and gives their number. */
const filled = (frames: Frames.Frames, size: number) =>
  Effect.gen(function* () {
    const added = yield* Ref.make(0)
    const adding = yield* Effect.forkScoped(
      Effect.forever(
        Effect.zipRight(
          frames.add(new Uint8Array(size)),
          Ref.update(added, (count) => count + 1),
        ),
      ),
    )
    for (let turn = 0; turn < 1000; turn++) yield* Effect.yieldNow()
    yield* Fiber.interrupt(adding)
    return yield* Ref.get(added)
  })

describe("Frames", () => {
  it.scoped("takes so many bytes that nobody reads, in frames of any size, and makes the next one wait", () =>
    Effect.gen(function* () {
      for (const [size, count] of [
        [64 * KiB, 2],
        [4 * KiB, 32],
        [1, 256],
        [400 * KiB, 1],
      ] as const) {
        assert.strictEqual(yield* filled(yield* Frames.make, size), count, `frames of ${size}`)
      }
    }),
  )

  it.scoped("gives all to who reads, in order, however large, and ends", () =>
    Effect.gen(function* () {
      const frames = yield* Frames.make
      const sizes = Array.from({ length: 200 }, (_, index) => (index * 7919) % (300 * KiB))
      yield* Effect.forkScoped(
        Effect.zipRight(
          Effect.forEach(sizes, (size) => frames.add(new Uint8Array(size))),
          frames.end,
        ),
      )
      const read = yield* Stream.runCollect(frames.stream)
      assert.deepStrictEqual(
        Chunk.toReadonlyArray(read).map(({ length }) => length),
        sizes,
      )
    }),
  )
})
