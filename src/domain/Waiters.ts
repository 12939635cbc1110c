/** Those who wait for something to change. */
import { Effect } from "effect"

export class Waiters {
  private readonly looks = new Set<() => void>()

  /** Something has changed. */
  wake() {
    for (const look of this.looks) look()
  }

  /**
   * Waits until it holds, which is looked at now and whenever something has changed; says whether it does. Every call
   * waits by here: a timer takes a fraction of what a race of fibers takes.
   */
  until(holds: () => boolean, withinMs = Infinity) {
    return Effect.async<boolean>((resume) => {
      let timer: NodeJS.Timeout | undefined
      const end = () => {
        clearTimeout(timer)
        this.looks.delete(look)
      }
      const look = () => {
        if (!holds()) return
        end()
        resume(Effect.succeed(true))
      }
      this.looks.add(look)
      if (withinMs < Infinity) {
        timer = setTimeout(() => {
          end()
          resume(Effect.succeed(false))
        }, withinMs)
      }
      look()
      return Effect.sync(end)
    })
  }
}
