/**
 * What waits for the stream of one connection, numbered, until whoever listens took it; bounded. Numbers grow also
 * from one owner to the next, so that a client may name the last one that it has to any of them.
 */
import { Effect } from "effect"
import type { Notice, Notices } from "../domain/Notice.ts"
import { TooManyOperations } from "../domain/SessionError.ts"
import { Waiters } from "../domain/Waiters.ts"

export class Mailbox {
  private notices: Array<Notices["notices"][number] & { readonly size: number }> = []
  private last: number
  /** Up to here a listener was given everything. */
  private given: number
  private listener: string | undefined
  /** Whoever listens takes the client's messages too. */
  private takesPosts = false
  /** Messages that were taken in lately, by the names that their callers gave them. */
  private readonly known = new Set<string>()
  private readonly waiters = new Waiters()
  /** Of what may concern a listener. */
  changes = 0

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

  /** Waits until somebody has listened for the client's messages; says whether anybody has. */
  heard(withinMs: number) {
    return this.waiters.until(() => this.takesPosts, withinMs)
  }

  /** Takes a message of the client, unless too much waits. One of the same name is the same. */
  post(name: string, message: unknown) {
    return Effect.suspend(() => {
      if (this.known.has(name)) return Effect.void
      const size = Buffer.byteLength(JSON.stringify(message))
      const posted = this.notices.filter(({ notice }) => notice._tag === "Posted")
      const waiting = posted.reduce((sum, { size }) => sum + size, 0)
      return posted.length >= maxNotices || (waiting > 0 && waiting + size > maxWaiting)
        ? Effect.fail(new TooManyOperations({ limit: posted.length }))
        : Effect.sync(() => {
            this.known.add(name)
            if (this.known.size > maxNotices) this.known.delete(this.known.values().next().value!)
            this.add({ _tag: "Posted", message }, size)
          })
    })
  }

  /** From now on the stream of this name has the notices. */
  begin(listener: string) {
    this.listener = listener
    this.wake()
  }

  /** What came after a number, or after what the stream before was given: as much as a page takes. */
  take(listener: string, after: number | null, takesPosts = false): Notices {
    this.listener ??= listener
    const from = after === null || after > this.last ? this.given : after
    if (this.listener !== listener) return { notices: [], last: from, displaced: true }
    // A client keeps its place among the notices of changes alone.
    this.notices = this.notices.filter(({ notice, seq }) => seq > from || notice._tag === "Updated")
    this.takesPosts = takesPosts
    if (takesPosts) this.waiters.wake()
    const waiting = this.notices.filter(({ seq }) => seq > from)
    let room = maxPage
    const page = waiting.filter(({ size }, index) => (room -= size) >= 0 || index === 0)
    const last = page.length < waiting.length ? page.at(-1)!.seq : this.last
    this.given = Math.max(this.given, last)
    return { notices: page.map(({ notice, seq }) => ({ notice, seq })), last, displaced: false }
  }

  /** Waits for more changes than so many. */
  changed(changes: number, withinMs: number) {
    return this.waiters.until(() => this.changes > changes, withinMs)
  }

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
    this.changes++
    this.waiters.wake()
  }
}

/** Of each kind. */
const maxNotices = 256

/** Messages of the client that wait, and notices of one answer, in bytes of JSON; a single one may be larger. */
const maxWaiting = 16 * 1024 * 1024
const maxPage = 1024 * 1024
