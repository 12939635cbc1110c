/** The mailboxes of a session's own connections, on the node that owns it. */
import { Clock, Effect } from "effect"
import type { ConnectionId } from "../domain/Identity.ts"
import type { Notices } from "../domain/Notice.ts"
import type { Unavailable } from "../domain/SessionError.ts"
import type { Sandbox } from "../sandbox/Sandbox.ts"
import { Mailbox } from "./Mailbox.ts"
import { Subscriptions } from "./Subscriptions.ts"

export interface MailboxContext {
  /** The session's sandbox, where there is one. */
  readonly sandbox: () => Sandbox | undefined
  /** What a connection has subscribed to so far. */
  readonly subscriptionsOf: (connection: ConnectionId) => Effect.Effect<ReadonlyArray<string>, Unavailable>
  /** Whether this node still owns the session. */
  readonly isHere: () => boolean
}

interface Box {
  readonly mailbox: Mailbox
  readonly subscriptions: Subscriptions
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
  readonly waitMs: number
}

export const make = ({ isHere, sandbox, subscriptionsOf }: MailboxContext) => {
  const boxes = new Map<ConnectionId, Box>()

  const boxOf = (connection: ConnectionId) =>
    Effect.gen(function* () {
      const known = boxes.get(connection)
      if (known === undefined) {
        const uris = yield* subscriptionsOf(connection)
        const now = yield* Clock.currentTimeMillis
        if (!boxes.has(connection)) {
          const mailbox = new Mailbox(now)
          const subscriptions = new Subscriptions((uri) => mailbox.update(uri))
          subscriptions.set(uris)
          boxes.set(connection, { mailbox, subscriptions })
        }
      }
      const box = boxes.get(connection)!
      // The one that was used last is the last.
      boxes.delete(connection)
      boxes.set(connection, box)
      if (boxes.size > maxBoxes) boxes.delete(boxes.keys().next().value!)
      return box
    })

  return {
    /** Waits for something to tell. */
    listen: Effect.fnUntraced(function* ({ connection, listener, begins, after, waitMs }: Listening) {
      const { mailbox, subscriptions } = yield* boxOf(connection)
      if (begins) mailbox.begin(listener)
      const end = (yield* Clock.currentTimeMillis) + waitMs
      for (;;) {
        const live = sandbox()
        if (live !== undefined && !subscriptions.isEmpty) yield* subscriptions.look(live)
        const taken: Notices = mailbox.take(listener, after)
        const left = end - (yield* Clock.currentTimeMillis)
        if (taken.notices.length > 0 || taken.displaced || left <= 0 || !isHere()) return taken
        yield* Effect.timeoutOption(mailbox.changed, Math.min(left, subscriptions.isEmpty ? tick : glance))
      }
    }),

    /** Sets what a connection has subscribed to. */
    subscribe: Effect.fnUntraced(function* (connection: ConnectionId, uris: ReadonlyArray<string>) {
      const { subscriptions } = yield* boxOf(connection)
      const live = sandbox()
      if (live !== undefined) yield* Effect.ignore(subscriptions.begin(live))
      subscriptions.set(uris)
    }),

    /** Takes a client's message for the node that holds its stream. */
    post: (connection: ConnectionId, message: unknown) =>
      Effect.flatMap(boxOf(connection), ({ mailbox }) => mailbox.post(message)),
  }
}

/** Of one session. */
const maxBoxes = 64

/** How often a listener looks whether the session is still here, and whether files have changed, in milliseconds. */
const tick = 1000
const glance = 250
