/** Those who wait for something to change. */
import { Effect } from "effect"

export class Waiters {
  private readonly looks = new Set<() => void>()

  /** Something has changed. */
  wake() {
    for (const look of this.looks) look()
  }

  /** Waits until it holds, which is looked at now and whenever something has changed. */
  until(holds: () => boolean) {
    return Effect.async<void>((resume) => {
      const look = () => {
        if (!holds()) return
        this.looks.delete(look)
        resume(Effect.void)
      }
      this.looks.add(look)
      look()
      return Effect.sync(() => this.looks.delete(look))
    })
  }
}
