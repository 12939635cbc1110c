/**
 * What waits for the stream of one connection, numbered, until whoever listens took it; bounded. Numbers grow also
 * from one owner to the next, so that a client may name the last one that it has to any of them.
 */
import { Effect } from "effect"
import type { Notice, Notices } from "../domain/Notice.ts"
import { TooManyOperations } from "../domain/SessionError.ts"

export class Mailbox {
  private notices: Array<Notices["notices"][number] & { readonly size: number }> = []
  private last: number
  /** Up to here a listener was given everything. */
  private given: number
  private listener: string | undefined
  private readonly waiters = new Set<() => void>()

  /** `now` in milliseconds. */
  constructor(now: number) {
    this.last = now
    this.given = now
  }

  /** Says that a resource has changed; where that waits to be told already, once. */
  update(uri: string) {
    this.notices = this.notices.filter(
      ({ notice, seq }) => seq <= this.given || notice._tag !== "Updated" || notice.uri !== uri,
    )
    this.add({ _tag: "Updated", uri }, uri.length)
  }

  /** Takes a message of the client, unless too much waits. */
  post(message: unknown) {
    return Effect.suspend(() => {
      const size = JSON.stringify(message).length
      const posted = this.notices.filter(({ notice }) => notice._tag === "Posted")
      const waiting = posted.reduce((sum, { size }) => sum + size, 0)
      return posted.length >= maxNotices || (waiting > 0 && waiting + size > maxWaiting)
        ? Effect.fail(new TooManyOperations({ limit: posted.length }))
        : Effect.succeed(this.add({ _tag: "Posted", message }, size))
    })
  }

  /** From now on the stream of this name has the notices. */
  begin(listener: string) {
    this.listener = listener
    this.wake()
  }

  /** What came after a number, or after what the stream before was given. */
  take(listener: string, after: number | null): Notices {
    this.listener ??= listener
    const from = after === null || after > this.last ? this.given : after
    if (this.listener !== listener) return { notices: [], last: from, displaced: true }
    // A client keeps its place among the notices of changes alone.
    this.notices = this.notices.filter(({ notice, seq }) => seq > from || notice._tag === "Updated")
    const notices = this.notices.filter(({ seq }) => seq > from)
    this.given = this.last
    return { notices: notices.map(({ notice, seq }) => ({ notice, seq })), last: this.last, displaced: false }
  }

  /** Waits until there may be something to take. */
  readonly changed = Effect.async<void>((resume) => {
    const waiter = () => {
      this.waiters.delete(waiter)
      resume(Effect.void)
    }
    this.waiters.add(waiter)
    return Effect.sync(() => this.waiters.delete(waiter))
  })

  private add(notice: Notice, size: number) {
    this.notices.push({ seq: ++this.last, notice, size })
    if (this.notices.length > 2 * maxNotices) {
      this.notices.splice(
        this.notices.findIndex(({ notice }) => notice._tag === "Updated"),
        1,
      )
    }
    this.wake()
  }

  private wake() {
    for (const waiter of this.waiters) waiter()
  }
}

/** Of each kind. */
const maxNotices = 256

/** Messages of the client that wait, in characters of JSON. */
const maxWaiting = 32 * 1024 * 1024
