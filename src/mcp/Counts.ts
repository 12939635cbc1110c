/** How many of something there are by key; of a key without any nothing is kept. */
import { Effect, Scope } from "effect"

export class Counts<Key> {
  private readonly counts = new Map<Key, number>()

  /** Counts one until the scope closes; false where there are `limit` already. */
  hold(key: Key, limit = Infinity): Effect.Effect<boolean, never, Scope.Scope> {
    // Each request comes by here: `Effect.acquireRelease` would compare all of a fiber's references, twice, as it ends.
    return Effect.uninterruptible(
      Effect.flatMap(Effect.scope, (scope) => {
        if (this.of(key) >= limit) return Effect.succeed(false)
        this.counts.set(key, this.of(key) + 1)
        return Effect.as(
          Scope.addFinalizer(
            scope,
            Effect.sync(() => this.remove(key)),
          ),
          true,
        )
      }),
    )
  }

  /** Those of which there are some. */
  get keys(): Iterable<Key> {
    return this.counts.keys()
  }

  private of(key: Key) {
    return this.counts.get(key) ?? 0
  }

  private remove(key: Key) {
    if (this.of(key) > 1) this.counts.set(key, this.of(key) - 1)
    else this.counts.delete(key)
  }
}
