/** The mailboxes of a session's own connections, on the node that owns it. */
import { Clock, Effect } from "effect"
import type { ConnectionId } from "../domain/Identity.ts"
import type { Notices } from "../domain/Notice.ts"
import type { Unavailable } from "../domain/SessionError.ts"
import { Mailbox } from "./Mailbox.ts"
import { glance, type Here, Subscriptions } from "./Subscriptions.ts"

export interface MailboxContext extends Here {
  /** What a connection has subscribed to so far. */
  readonly subscriptionsOf: (connection: ConnectionId) => Effect.Effect<ReadonlyArray<string>, Unavailable>
}

interface Box {
  readonly mailbox: Mailbox
  readonly subscriptions: Subscriptions
  /** Of what is read from the connection's row and set here. */
  readonly lock: Effect.Semaphore
  /** In milliseconds. */
  usedAt: number
}

/** Who listens, and from where on. */
export interface Listening {
  readonly connection: ConnectionId
  /** Names the stream. */
  readonly listener: string
  /** It has just begun, and takes the place of the stream before. */
  readonly begins: boolean
  /** The last notice that it has; null where it does not say. */
  readonly after: number | null
  /** Whether it takes what the client posts. */
  readonly takesPosts: boolean
  readonly waitMs: number
}

export const make = ({ isHere, sandbox, subscriptionsOf }: MailboxContext) => {
  const boxes = new Map<ConnectionId, Box>()

  const boxOf = (connection: ConnectionId) =>
    Effect.gen(function* () {
      const known = boxes.has(connection)
      const uris = known ? [] : yield* subscriptionsOf(connection)
      const now = yield* Clock.currentTimeMillis
      if (!boxes.has(connection)) {
        const mailbox = new Mailbox(now)
        const subscriptions = new Subscriptions((uri) => mailbox.update(uri))
        subscriptions.set(uris)
        boxes.set(connection, { mailbox, subscriptions, lock: Effect.unsafeMakeSemaphore(1), usedAt: now })
      }
      const box = boxes.get(connection)!
      box.usedAt = now
      for (const [other, { usedAt }] of boxes) if (now - usedAt > keptMs) boxes.delete(other)
      return box
    })

  return {
    /** Waits for something to tell. */
    listen: Effect.fnUntraced(function* ({
      connection,
      listener,
      begins,
      after,
      takesPosts,
      waitMs,
    }: Listening) {
      const { mailbox, subscriptions } = yield* boxOf(connection)
      if (begins) mailbox.begin(listener)
      const end = (yield* Clock.currentTimeMillis) + waitMs
      for (;;) {
        const live = sandbox()
        if (live !== undefined && !subscriptions.isEmpty) yield* subscriptions.look(live)
        const { changes } = mailbox
        const taken: Notices = mailbox.take(listener, after, takesPosts)
        const left = end - (yield* Clock.currentTimeMillis)
        if (taken.notices.length > 0 || taken.displaced || left <= 0 || !isHere()) return taken
        yield* mailbox.changed(changes, Math.min(left, subscriptions.isEmpty ? tick : glance))
      }
    }),

    /** A connection's row has other subscriptions now. */
    subscribe: Effect.fnUntraced(function* (connection: ConnectionId) {
      const { lock, subscriptions } = yield* boxOf(connection)
      const live = sandbox()
      if (live !== undefined) yield* Effect.ignore(subscriptions.begin(live))
      yield* Effect.map(subscriptionsOf(connection), (uris) => subscriptions.set(uris)).pipe(
        lock.withPermits(1),
      )
    }),

    /** Takes a client's message for the node that holds its stream; says whether there is one. */
    post: Effect.fnUntraced(function* (connection: ConnectionId, name: string, message: unknown) {
      const { mailbox } = yield* boxOf(connection)
      // A stream that begins, or finds the session's new owner, is about to ask.
      const isHeard = yield* mailbox.heard(beginMs)
      if (isHeard) yield* mailbox.post(name, message)
      return isHeard
    }),

    /** The session is closed. */
    clear: () => boxes.clear(),
  }
}

/** How long the mailbox of a connection is kept that nobody has listened at, in milliseconds. */
const keptMs = 300_000

/** Time for a stream to ask for its client's messages, in milliseconds. */
const beginMs = 2_000

/** How often a listener looks whether the session is still here, in milliseconds. */
const tick = 1000
