/**
 * The way out of one sandbox. Its agent takes connections of programs on channels that wait for them, a few at a time,
 * and this end decides where they may go. While the node may not act for the session, or the session may reach nothing,
 * there is no such channel, and connections that are open end. The scope given to `make` ends all.
 */
import { Deferred, Effect, FiberId, FiberSet } from "effect"
import { matcher, type NetworkPolicy } from "../../domain/Network.ts"
import { SandboxLost } from "../../domain/SandboxError.ts"
import { timeLimit } from "../../domain/TimeLimit.ts"
import type { AgentLink } from "../AgentLink.ts"
import { Connection, type Gate, patience } from "./Connection.ts"
import type { Destinations } from "./Destinations.ts"
import { Refusals, type Refused } from "./Refusals.ts"

export interface NetworkStatus {
  readonly policy: NetworkPolicy
  /** Connections to hosts: now, and since the sandbox's start. */
  readonly open: number
  readonly opened: number
  /** Bytes to hosts, and from them. */
  readonly sent: number
  readonly received: number
  readonly refused: number
}

export interface Tunnel {
  /** Lets programs reach what the policy names, and nothing else from now on: connections elsewhere are closed. */
  readonly allow: (policy: NetworkPolicy) => Effect.Effect<void, SandboxLost>
  readonly status: () => NetworkStatus
  /** What was refused between two times, in milliseconds since 1970; the last of them. */
  readonly refusals: (from: number, to: number) => ReadonlyArray<Refused>
}

/** Connections of a sandbox at once, and channels that wait for the next ones: more wait inside. */
const maxConnections = 32
const spare = 4

/** For an agent to say that its proxy listens. */
const silence = "20 seconds"

/** Connections that begin within a second. */
const maxRate = 200

export const make = Effect.fnUntraced(function* (
  link: Pick<AgentLink, "ask" | "container" | "open">,
  {
    destinations,
    certificates,
    isHeld,
    onChange,
    times = patience,
  }: {
    readonly destinations: Destinations["Type"]
    /** For programs to trust, in PEM. */
    readonly certificates: string | undefined
    /** Whether the node may act for the session. */
    readonly isHeld: () => boolean
    /** Calls `run` when that may have changed, until the function that it gives is called. */
    readonly onChange: (run: () => void) => () => void
    readonly times?: typeof patience
  },
) {
  const connections = new Set<Connection>()
  const refusals = new Refusals()
  const counts = { opened: 0, sent: 0, received: 0 }
  const changing = yield* Effect.makeSemaphore(1)
  const run = yield* FiberSet.makeRuntime<never>()
  let policy: NetworkPolicy = []
  let allows = matcher(policy)
  let isOpen = false
  let begun = { second: 0, count: 0 }
  let later: NodeJS.Timeout | undefined

  const waiting = () => [...connections].filter(({ phase }) => phase === "waiting").length

  const abortAll = (which: (connection: Connection) => boolean) => {
    for (const connection of connections) if (which(connection)) connection.abort()
  }

  const fill = () => {
    const needsMore = () => isOpen && isHeld() && connections.size < maxConnections && waiting() < spare
    while (needsMore()) {
      const second = Math.floor(performance.now() / 1000)
      if (second !== begun.second) begun = { second, count: 0 }
      if (++begun.count > maxRate) {
        clearTimeout(later)
        later = setTimeout(fill, 1000)
        return
      }
      wait()
    }
  }

  /** Gives the agent one more channel to take a connection on. */
  const wait = () => {
    const gate: Gate = {
      destinations,
      resolve: (host) => destinations.resolve(host, connections),
      open: link.open,
      allows: (host, port) => allows(host, port),
      isHeld,
      refused: (target, reason) => refusals.note(target, reason),
      asked: fill,
      dialled: () => counts.opened++,
      sent: (bytes) => (counts.sent += bytes),
      received: (bytes) => (counts.received += bytes),
      over: () => {
        connections.delete(connection)
        Deferred.unsafeDone(over, Effect.void)
        fill()
      },
    }
    const over = Deferred.unsafeMake<void>(FiberId.none)
    const connection = new Connection(gate, times)
    connections.add(connection)
    // The agent's answer says that the program has gone. One that was lost takes nothing any more.
    run(
      link
        .ask((id) => ({ type: "accept", id, channel: connection.channel.id }), { isHeldUp: true })
        .pipe(
          Effect.tapBoth({
            onSuccess: () => Effect.sync(() => connection.leave()),
            onFailure: () =>
              Effect.sync(() => {
                isOpen = false
                connection.abort()
              }),
          }),
          Effect.ignore,
          Effect.raceFirst(Deferred.await(over)),
        ),
    )
  }

  const stop = onChange(() => {
    if (isHeld()) fill()
    else abortAll(() => true)
  })

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      isOpen = false
      stop()
      clearTimeout(later)
      abortAll(() => true)
    }),
  )

  return {
    allow: (next) =>
      Effect.suspend(() => {
        if (isSame(policy, next)) return Effect.void
        const wasOpen = policy.length > 0
        policy = next
        allows = matcher(next)
        abortAll(({ target }) => target !== undefined && !allows(target.host, target.port))
        isOpen = next.length > 0
        if (!isOpen) abortAll(() => true)
        if (isOpen === wasOpen) return Effect.void
        return link
          .ask((id) => ({
            type: "network",
            id,
            open: isOpen,
            certificates: isOpen ? certificates : undefined,
          }))
          .pipe(
            timeLimit(silence, () => new SandboxLost({ container: link.container })),
            Effect.zipRight(Effect.sync(fill)),
          )
      }).pipe(Effect.uninterruptible, changing.withPermits(1)),
    status: () => ({
      policy,
      open: [...connections].filter(({ phase }) => phase === "open" || phase === "judging").length,
      ...counts,
      refused: refusals.count,
    }),
    refusals: (from, to) => refusals.between(from, to),
  } satisfies Tunnel
})

const isSame = (one: NetworkPolicy, other: NetworkPolicy) =>
  one === other || (one.length === other.length && one.every((item, index) => item === other[index]))
