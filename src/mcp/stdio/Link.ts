/**
 * The bridge's connection to the cluster. The client's `initialize` opens it; where the cluster has ended it, the same
 * `initialize` opens another, once for each loss, however many requests learn of it. It is closed with the scope.
 */
import { Effect, Fiber, Option, Schema, type Scope, Stream } from "effect"
import type { Request } from "./Message.ts"
import * as Patience from "./Patience.ts"
import { type Connection, Unreachable, type Upstream, type UpstreamError } from "./Upstream.ts"

export interface Link {
  /** Opens a connection, and gives what the cluster answered. Tries for `startMs`. */
  readonly open: (request: Request) => Effect.Effect<string, UpstreamError>
  /** The connection, once none is being opened. */
  readonly current: Effect.Effect<Connection | undefined>
  /** Replaces a connection that has ended, unless that is done. Tries once. */
  readonly renew: (ended: Connection) => Effect.Effect<void, UpstreamError>
}

export interface LinkOptions {
  readonly upstream: Upstream
  /** For how long the cluster may be silent at first, in milliseconds. */
  readonly startMs: number
  /** There is a new connection; `replaces` says that the one before it ended by itself. */
  readonly onOpened: (connection: Connection, replaces: boolean) => Effect.Effect<void>
}

export const make = ({ onOpened, startMs, upstream }: LinkOptions): Effect.Effect<Link, never, Scope.Scope> =>
  Effect.gen(function* () {
    let connection: Connection | undefined
    let hello: string | undefined
    const gate = yield* Effect.makeSemaphore(1)
    // In a fiber of its own: one that was interrupted cannot bound what it does last.
    yield* Effect.addFinalizer(() =>
      connection === undefined
        ? Effect.void
        : close(upstream, connection).pipe(
            Effect.interruptible,
            Effect.forkDaemon,
            Effect.flatMap(Fiber.await),
          ),
    )

    const shake = (text: string) =>
      Effect.gen(function* () {
        const answer = yield* upstream.post(text, undefined)
        const said = yield* Stream.runHead(Stream.filter(answer.events, ({ data }) => data !== ""))
        if (Option.isNone(said)) return yield* new Unreachable({ problem: "it answers nothing" })
        const { data } = said.value
        const version = Option.flatMapNullable(decode(data), ({ result }) => result?.protocolVersion)
        const opened = Option.zipWith(Option.fromNullable(answer.connection), version, (id, version) => ({
          id,
          version,
        }))
        return { data, opened: Option.getOrUndefined(opened) }
      }).pipe(Effect.scoped)

    const adopt = (opened: Connection, replaces: boolean) =>
      Effect.suspend(() => {
        connection = opened
        return onOpened(opened, replaces)
      }).pipe(Effect.uninterruptible)

    const open = Effect.fnUntraced(function* ({ text }: Request) {
      const patience = yield* Patience.make(startMs)
      const attempt: Effect.Effect<{ data: string; opened: Connection | undefined }, UpstreamError> =
        Effect.catchTag(patience.bound(shake(text)), "Unreachable", (problem) =>
          Effect.zipRight(patience.again(problem), attempt),
        )
      const { data, opened } = yield* attempt
      if (opened !== undefined) {
        hello = text
        yield* adopt(opened, false)
      }
      return data.includes("\n") ? JSON.stringify(JSON.parse(data)) : data
    }, gate.withPermits(1))

    const renew = Effect.fnUntraced(function* (ended: Connection) {
      if (connection !== ended || hello === undefined) return
      const { opened } = yield* shake(hello)
      if (opened === undefined) return yield* new Unreachable({ problem: "it opens no new connection" })
      yield* Effect.ignore(Effect.scoped(upstream.post(initialized, opened)))
      yield* adopt(opened, true)
    }, gate.withPermits(1))

    return { open, current: gate.withPermits(1)(Effect.sync(() => connection)), renew }
  })

/** Ends the connection, and so a session that was made for it; its lease does, where the cluster cannot be reached. */
const close = (upstream: Upstream, connection: Connection) =>
  Effect.gen(function* () {
    const patience = yield* Patience.make(closeMs)
    const attempt: Effect.Effect<void, UpstreamError> = Effect.catchTag(
      upstream.close(connection),
      "Unreachable",
      (problem) => Effect.zipRight(patience.again(problem), attempt),
    )
    yield* patience.bound(attempt)
  })

/** For how long a client that is gone may be outlived. */
const closeMs = 3000

const initialized = JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" })

const decode = Schema.decodeOption(
  Schema.parseJson(
    Schema.Struct({ result: Schema.optional(Schema.Struct({ protocolVersion: Schema.String })) }),
  ),
)
