import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Scope, Exit } from "effect"
import { Principal } from "../../src/domain/Identity.ts"
import * as Admission from "../../src/mcp/Admission.ts"
import * as TestNode from "../support/TestNode.ts"

const [ann, bob] = [Principal.make("token:ann"), Principal.make("token:bob")]

const made = Effect.provide(Admission.make, TestNode.settings({ MAX_REQUESTS: "3", MAX_STREAMS: "2" }))

/** How many the principal may have beside those it has. */
const free = (admit: Admission.Admission["request"], principal: Principal) =>
  Effect.gen(function* () {
    for (let count = 0; ; count++) {
      if (Exit.isFailure(yield* Effect.exit(admit(principal)))) return count
    }
  }).pipe(Effect.scoped)

describe("Admission", () => {
  it.effect(
    "counts requests and streams of each principal apart, and refuses one too many with what to do",
    () =>
      Effect.gen(function* () {
        const { request, stream } = yield* made
        yield* Effect.gen(function* () {
          for (let count = 0; count < 3; count++) yield* request(ann)
          const refusal = yield* Effect.flip(request(ann))
          assert.deepInclude(refusal, { status: 429, code: -32000, headers: { "retry-after": "1" } })
          assert.include(refusal.message, "MAX_REQUESTS")
          assert.strictEqual(yield* free(stream, ann), 2)
          assert.strictEqual(yield* free(request, bob), 3)
        }).pipe(Effect.scoped)
        assert.strictEqual(yield* free(request, ann), 3)
      }),
  )

  it.effect("gives back what failed, was interrupted, or was refused", () =>
    Effect.gen(function* () {
      const { request } = yield* made
      const work = (end: Effect.Effect<unknown, string>) => Effect.scoped(Effect.zipRight(request(ann), end))
      yield* Effect.exit(work(Effect.fail("no")))
      yield* Effect.exit(work(Effect.die("never")))
      const waiting = yield* Effect.fork(work(Effect.never))
      yield* Effect.yieldNow()
      assert.strictEqual(yield* free(request, ann), 2)
      yield* Fiber.interrupt(waiting)
      assert.strictEqual(yield* free(request, ann), 3)
    }),
  )

  it.effect("counts what outlives its request until it ends", () =>
    Effect.gen(function* () {
      const { detached, request } = yield* made
      const done = yield* Deferred.make<void>()
      const scope = yield* Scope.make()
      yield* Scope.extend(request(ann), scope)
      for (let count = 0; count < 2; count++) yield* detached(ann, Deferred.await(done))
      assert.strictEqual((yield* Effect.flip(detached(ann, Effect.void))).status, 429)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* free(request, ann), 1)
      yield* Deferred.succeed(done, undefined)
      yield* Effect.yieldNow()
      assert.strictEqual(yield* free(request, ann), 3)
    }),
  )
})
