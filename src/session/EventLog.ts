/**
 * The last events of one operation, bounded in size. Who reads is told where some are left out, so that nothing is
 * missed unawares; reading takes nothing away.
 */
import type { NumberedEvent, OperationEvent } from "../domain/Event.ts"
import { Waiters } from "../domain/Waiters.ts"

export class EventLog {
  private readonly events: Array<NumberedEvent> = []
  /** Of all messages that are kept. */
  characters = 0
  /** The last one that was dropped. */
  private dropped: NumberedEvent | undefined
  private readonly waiters = new Waiters()
  private isEnded = false

  /** The number of the last event. */
  get last() {
    return this.events.at(-1)?.seq ?? this.dropped?.seq ?? 0
  }

  /** Gives the event's number. */
  emit(event: OperationEvent) {
    const seq = this.last + 1
    this.events.push({ seq, event })
    this.characters += sizeOf(event)
    while (this.characters > maxCharacters && this.events.length > 1) {
      this.dropped = this.events.shift()!
      this.characters -= sizeOf(this.dropped.event)
    }
    this.waiters.wake()
    return seq
  }

  /** The events after one, as many as a page takes. */
  after(seq: number): ReadonlyArray<NumberedEvent> {
    const { dropped } = this
    const page: Array<NumberedEvent> =
      dropped !== undefined && dropped.seq > seq ? [{ seq: dropped.seq, event: gapAt(dropped.event) }] : []
    let room = pageCharacters
    for (const numbered of this.events) {
      if (numbered.seq <= seq) continue
      room -= sizeOf(numbered.event)
      if (room < 0 && page.length > 0) break
      page.push(numbered)
    }
    return page
  }

  /** No event comes any more. */
  end() {
    this.isEnded = true
    this.waiters.wake()
  }

  /** Waits for an event after one, or for the end, so many milliseconds. */
  changed(seq: number, withinMs: number) {
    return this.waiters.until(() => this.isEnded || this.last > seq, withinMs)
  }
}

/** Stands for an event that is not kept, and for those before it. */
const gapAt = (event: OperationEvent): OperationEvent =>
  event._tag === "Progress"
    ? { ...event, message: leftOut }
    : { _tag: "Log", level: "warning", data: leftOut.trim() }

const sizeOf = (event: OperationEvent) =>
  least +
  (event._tag === "Progress"
    ? (event.message?.length ?? 0)
    : (JSON.stringify(event._tag === "Log" ? event.data : event.params)?.length ?? 0))

/** What an event takes without its message. */
const least = 64

const leftOut = "\n[… output is left out here; what is kept of it can be read by its operation_id …]\n"

/** Characters of all messages, and of one page's. */
const maxCharacters = 512 * 1024
const pageCharacters = 64 * 1024
