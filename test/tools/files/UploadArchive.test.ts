import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { uploadArchive } from "../../../src/tools/files/UploadArchive.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"

describe("UploadArchive", () => {
  it.effect(
    "unpacks what comes in the call after edits that are being made, and not at all where it is cancelled",
    () =>
      Effect.gen(function* () {
        const turns = yield* Effect.makeSemaphore(1)
        const edited = yield* Deferred.make<void>()
        const order: Array<string> = []
        const sandbox = FakeSandbox.make({
          files: {
            exclusively: turns.withPermits(1),
            unpack: () =>
              Effect.sync(() => {
                order.push("unpacked")
                return { files: 1, folders: 0, links: 0, bytes: 1, skipped: [], skippedCount: 0 }
              }),
          },
        })
        const edit = yield* Effect.fork(
          sandbox.files.exclusively(
            Effect.zipRight(
              Deferred.await(edited),
              Effect.sync(() => order.push("edited")),
            ),
          ),
        )
        yield* Effect.yieldNow()
        const upload = Effect.fork(
          uploadArchive.handler({ content: "AAAA" }, FakeSandbox.call(Effect.succeed(sandbox))),
        )
        const [first, second] = [yield* upload, yield* upload]
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(first)
        yield* Deferred.succeed(edited, undefined)
        yield* Fiber.join(edit)
        assert.strictEqual((yield* Fiber.join(second)).files, 1)
        assert.deepStrictEqual(order, ["edited", "unpacked"])
      }),
  )
})
