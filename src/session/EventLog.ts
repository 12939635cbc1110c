/**
 * The last events of one operation, bounded in size. Who reads is told where some are left out, so that nothing is
 * missed unawares; reading takes nothing away.
 */
import { Effect } from "effect"
import type { NumberedEvent, OperationEvent } from "../domain/Event.ts"

export class EventLog {
  private readonly events: Array<NumberedEvent> = []
  /** Of all messages that are kept. */
  characters = 0
  /** The last one that was dropped. */
  private dropped: NumberedEvent | undefined
  private readonly waiters = new Set<() => void>()

  /** The number of the last event. */
  get last() {
    return this.events.at(-1)?.seq ?? this.dropped?.seq ?? 0
  }

  emit(event: OperationEvent) {
    this.events.push({ seq: this.last + 1, ...event })
    this.characters += event.message.length
    while (this.characters > maxCharacters && this.events.length > 1) {
      this.dropped = this.events.shift()!
      this.characters -= this.dropped.message.length
    }
    for (const waiter of this.waiters) waiter()
  }

  /** The events after one, as many as a page takes. */
  after(seq: number): ReadonlyArray<NumberedEvent> {
    const { dropped } = this
    const page: Array<NumberedEvent> =
      dropped !== undefined && dropped.seq > seq ? [{ ...dropped, message: leftOut }] : []
    let room = pageCharacters
    for (const event of this.events) {
      if (event.seq <= seq) continue
      room -= event.message.length
      if (room < 0 && page.length > 0) break
      page.push(event)
    }
    return page
  }

  /** Waits for an event after one. */
  changed(seq: number) {
    return Effect.async<void>((resume) => {
      const waiter = () => {
        if (this.last <= seq) return
        this.waiters.delete(waiter)
        resume(Effect.void)
      }
      this.waiters.add(waiter)
      waiter()
      return Effect.sync(() => this.waiters.delete(waiter))
    })
  }
}

const leftOut = "\n[… output is left out here; read_output shows what is kept …]\n"

/** Characters of all messages, and of one page's. */
const maxCharacters = 512 * 1024
const pageCharacters = 64 * 1024
