/**
 * How long nobody has said that an operation is still waited for that ends with its caller's request. A node tells when
 * such a client goes away; where the node itself is lost, this is what is left to notice. It is counted in turns, and not
 * in time, so that an owner that stood still does not take its own silence for that of others.
 */
import { Duration, Effect } from "effect"

export class Silence {
  private turns = 0

  /** Somebody waits. */
  break() {
    this.turns = 0
  }

  /** Ends once nobody was heard of for `patience` and at most a fifth more, all the while that `counts` holds. */
  lasts(patience: Duration.Duration, counts: () => boolean): Effect.Effect<void> {
    return Effect.sync(() => {
      this.turns = counts() ? this.turns + 1 : 0
      return this.turns > turns
    }).pipe(
      Effect.delay(Duration.times(patience, 1 / turns)),
      Effect.repeat({ until: (isOver) => isOver }),
      Effect.asVoid,
    )
  }
}

/** In the patience that an owner has; its callers say as often that they are there. */
export const turns = 5
