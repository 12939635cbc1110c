/** Time for long work: its end, and pauses in which others have their turn. */
import { setImmediate } from "node:timers/promises"

/** Milliseconds of work at a time. */
const slice = 10

export class Slices {
  private readonly end: number
  private begun = performance.now()

  /** `limit` in milliseconds. */
  constructor(limit: number) {
    this.end = performance.now() + limit
  }

  get left() {
    return Math.max(0, this.end - performance.now())
  }

  get over() {
    return this.left === 0
  }

  /** To be called after every small piece of work. */
  async pause() {
    if (performance.now() - this.begun < slice) return
    await setImmediate()
    this.begun = performance.now()
  }
}
