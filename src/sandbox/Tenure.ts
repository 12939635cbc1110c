/**
 * Whether the node may act for the session that has a sandbox: in the term of the node's locks in which it claimed the
 * session last. A sandbox that no session has yet is the node's own.
 */
import type { Lease } from "../domain/Lease.ts"

export class Tenure {
  private readonly lease: Lease["Type"]
  private readonly looks = new Set<() => void>()
  private term: number | undefined

  constructor(lease: Lease["Type"]) {
    this.lease = lease
    this.term = lease.term()
  }

  /** The session was claimed in this term. */
  hold(term: number | undefined) {
    if (term === this.term) return
    this.term = term
    for (const look of this.looks) look()
  }

  readonly isHeld = () => this.term !== undefined && this.lease.term() === this.term

  /** Calls `run` when it may be otherwise, until the function that it gives is called. */
  readonly onChange = (run: () => void) => {
    const stop = this.lease.onEnd(run)
    this.looks.add(run)
    return () => {
      stop()
      this.looks.delete(run)
    }
  }
}
