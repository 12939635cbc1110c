import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { withOnly } from "../../src/domain/Narrowed.ts"

class Needed extends Context.Tag("test/Needed")<Needed, string>() {}
class Other extends Context.Tag("test/Other")<Other, string>() {}
class Made extends Context.Tag("test/Made")<
  Made,
  { readonly needed: string; readonly sees: Effect.Effect<ReadonlyArray<string>> }
>() {}

const seen = Effect.map(Effect.context<never>(), ({ unsafeMap }) => [...unsafeMap.keys()])

describe("A narrowed layer", () => {
  it.effect("and the fibers that it starts see the services that it needs, and not all that there are", () =>
    Effect.gen(function* () {
      const made = Layer.effect(
        Made,
        Effect.gen(function* () {
          const needed = yield* Needed
          const inside = yield* Effect.forkDaemon(seen)
          return { needed, sees: Effect.orDie(inside) }
        }),
      )
      const all = Layer.merge(Layer.succeed(Needed, "needed"), Layer.succeed(Other, "other"))
      const look = Effect.flatMap(Made, ({ needed, sees }) =>
        Effect.map(sees, (sees) => ({
          needed,
          needs: sees.includes(Needed.key),
          other: sees.includes(Other.key),
        })),
      )
      const [narrow, wide] = yield* Effect.all([
        Effect.provide(look, withOnly(Needed)(made).pipe(Layer.provide(all))),
        Effect.provide(look, made.pipe(Layer.provide(all))),
      ])
      assert.deepStrictEqual(narrow, { needed: "needed", needs: true, other: false })
      assert.deepStrictEqual(wide, { needed: "needed", needs: true, other: true })
    }),
  )

  it.scoped("ends what it holds with the scope of the program that it is part of", () =>
    Effect.gen(function* () {
      const told: Array<string> = []
      const held = Layer.scopedDiscard(
        Effect.acquireRelease(
          Effect.sync(() => told.push("begun")),
          () => Effect.sync(() => told.push("ended")),
        ),
      )
      yield* Effect.scoped(
        Effect.zipRight(
          Layer.build(withOnly()(held)),
          Effect.sync(() => assert.deepStrictEqual(told, ["begun"])),
        ),
      )
      assert.deepStrictEqual(told, ["begun", "ended"])
    }),
  )
})
