/**
 * Sessions as callers use them. Hides where a session lives, that it may move, and what is safe to repeat:
 * an operation is begun again under its own id, which its owner's records keep from running twice.
 */
import type { AlreadyProcessingMessage, MailboxFull, PersistenceError } from "@effect/cluster/ClusterError"
import { EntityId, Sharding } from "@effect/cluster"
import { Cause, Context, Duration, Effect, Layer, Option } from "effect"
import type { NumberedEvent, Origin, QuestionReply } from "../domain/Event.ts"
import { type ConnectionId, type OperationId, randomId, type SessionId } from "../domain/Identity.ts"
import type { Changes, Notices, Watched } from "../domain/Notice.ts"
import type { Operation, Reply } from "../domain/Operation.ts"
import { timeLimit } from "../domain/TimeLimit.ts"
import { type SessionError, SessionMoved, TooManyOperations, Unavailable } from "../domain/SessionError.ts"
import { settings } from "../Settings.ts"
import type { Listening } from "./Mailboxes.ts"
import { type Resumed, SessionEntity } from "./SessionEntity.ts"
import { turns } from "./Silence.ts"

/** One wait at the owner, in milliseconds. */
const waitMs = 3000

/** One wait for notices, which come seldom: an idle stream costs little. */
const listenMs = 10_000

/** How long an owner is looked for, in milliseconds: several times what a takeover needs. */
const patienceMs = 45_000

/** Is told of each event, in order; the next ones wait for it. */
export type Listener = (event: NumberedEvent, origin: Origin | undefined) => Effect.Effect<unknown>

/** A request that its client takes up again, after an event that it has. */
export interface Request {
  readonly connection: ConnectionId
  readonly operation: OperationId
  readonly after: number
  /** Another request of that connection, which the operation answers, and ends with, from now on. */
  readonly as?: Origin["request"]
}

export class Sessions extends Context.Tag("codegen-mcp/session/Sessions")<
  Sessions,
  {
    /** Runs an operation until it answers. A caller that goes away does not end it. */
    readonly call: (
      session: SessionId,
      operation: Operation,
      listener?: Listener,
    ) => Effect.Effect<Reply, SessionError>
    /**
     * Goes on with what `call` began for a request of a connection whose home is the session, on whatever node that was;
     * undefined where nothing is known of it.
     */
    readonly resume: (
      home: SessionId,
      request: Request,
      listener: Listener,
    ) => Effect.Effect<{ readonly reply: Reply; readonly origin: Origin } | undefined, SessionError>
    /** Ends what runs for a request of a connection whose home is the session, its processes too. */
    readonly cancel: (
      home: SessionId,
      connection: ConnectionId,
      request: Origin["request"],
    ) => Effect.Effect<void, SessionError>
    /** Gives a client's reply to a question that a request of a connection with this home asked it. */
    readonly answer: (
      home: SessionId,
      connection: ConnectionId,
      place: { readonly operation: OperationId; readonly question: number },
      reply: QuestionReply,
    ) => Effect.Effect<void, SessionError>
    /** Lets `resume`, `answer` and `cancel` find a request that is for another session than its connection's home. */
    readonly note: (
      home: SessionId,
      origin: Origin,
      operation: OperationId,
      session: SessionId,
    ) => Effect.Effect<void, SessionError>
    /** What came for the stream of a connection with this home; waits for something for a while. */
    readonly listen: (
      home: SessionId,
      listening: Omit<Listening, "waitMs">,
      waitMs?: number,
    ) => Effect.Effect<Notices, SessionError>
    /** The row of a connection with this home has other subscriptions now. */
    readonly subscribe: (home: SessionId, connection: ConnectionId) => Effect.Effect<void, SessionError>
    /** Which of a session's resources have changed since a place; waits for some for a while. */
    readonly changes: (
      session: SessionId,
      since: {
        readonly uris: ReadonlyArray<string>
        readonly begins: boolean
        readonly watched: Watched | null
      },
      waitMs?: number,
    ) => Effect.Effect<Changes, SessionError>
    /** Hands a client's message to the node that holds the stream of its connection; false where there is none. */
    readonly post: (
      home: SessionId,
      connection: ConnectionId,
      message: unknown,
    ) => Effect.Effect<boolean, SessionError>
    /** Whether this node owns a session, and ends what it runs when it leaves. */
    readonly isHere: (session: SessionId) => boolean
    /** Ends what its owner holds for a closed session; gives up after a few seconds and leaves it to the reconciler. */
    readonly release: (session: SessionId) => Effect.Effect<void>
  }
>() {
  static readonly layer = Layer.effect(
    Sessions,
    Effect.gen(function* () {
      const client = yield* SessionEntity.client
      const sharding = yield* Sharding.Sharding
      const followEvery = Duration.times(yield* settings.nodeExpiry.config, 1 / turns)

      /** Asks an owner, again where the session has just moved. */
      const persistently = <A>(ask: (moved: boolean) => ReturnType<typeof answered<A>>) =>
        Effect.gen(function* () {
          const begin = performance.now()
          for (let moved = false; ; moved = true) {
            const answer = yield* Effect.asSome(ask(moved)).pipe(
              Effect.catchTag("SessionMoved", () => Effect.as(Effect.sleep("100 millis"), Option.none<A>())),
            )
            if (Option.isSome(answer)) return answer.value
            if (performance.now() - begin > patienceMs) {
              return yield* new Unavailable({ what: "the session's node" })
            }
          }
        })

      /** Says again and again that an operation is waited for, while it is. */
      const following = <A, E>(session: SessionId, operation: OperationId, wait: Effect.Effect<A, E>) =>
        Effect.raceFirst(
          wait,
          Effect.ignore(answered(client(session).Follow({ operation }))).pipe(
            Effect.delay(followEvery),
            Effect.forever,
          ),
        )

      /** Tells a connection's home, and the session that it names where the request is for that one. */
      const whereItIs = Effect.fnUntraced(function* (
        home: SessionId,
        tell: (entity: ReturnType<typeof client>) => Parameters<typeof answered<SessionId | null>>[0],
      ) {
        const at = (session: SessionId) => persistently(() => answered(tell(client(session))))
        const elsewhere = yield* at(home)
        if (elsewhere !== null) yield* at(elsewhere)
      })

      return {
        call: Effect.fnUntraced(
          function* (session, operation, listener) {
            const entity = client(session)
            let after = listener === undefined ? null : 0
            for (let known = false; ; known = true) {
              const wait = { after, waitMs }
              const page = yield* persistently((moved) =>
                answered(
                  known && !moved
                    ? entity.Read({ operation: operation.id, ...wait })
                    : entity.Run({ operation, ...wait }),
                ),
              )
              for (const event of page.events) {
                yield* listener?.(event, operation.origin) ?? Effect.void
                after = event.seq
              }
              if (page.reply !== null) return page.reply
            }
          },
          (wait, session, { id, isFollowed }) => (isFollowed === true ? following(session, id, wait) : wait),
        ),

        resume: Effect.fn("Sessions.resume")(
          function* (home, { connection, operation, as, ...request }, listener) {
            let session = home
            let { after } = request
            for (let begins = true; ; begins = false) {
              const entity = client(session)
              const page: Resumed = yield* persistently(() =>
                answered(entity.Resume({ connection, operation, after, waitMs, ...(begins ? { as } : {}) })),
              )
              if (page._tag === "Unknown") return undefined
              if (page._tag === "Elsewhere") session = page.session
              else {
                for (const event of page.events) {
                  yield* listener(event, page.origin)
                  after = event.seq
                }
                if (page.reply !== null) return { reply: page.reply, origin: page.origin }
              }
            }
          },
          (wait, home, { as, operation }) => (as === undefined ? wait : following(home, operation, wait)),
        ),

        cancel: Effect.fn("Sessions.cancel")(function* (home, connection, request) {
          yield* whereItIs(home, (entity) => entity.Cancel({ connection, request }))
        }),

        answer: (home, connection, { operation, question }, reply) =>
          whereItIs(home, (entity) => entity.Answer({ connection, operation, question, reply })),

        note: (home, origin, operation, session) =>
          persistently(() => answered(client(home).Note({ origin, operation, session }))),

        listen: (home, listening, waitMs = listenMs) =>
          persistently(() => answered(client(home).Listen({ ...listening, waitMs }), 1.5 * listenMs)),

        changes: (session, since, waitMs = listenMs) =>
          persistently(() => answered(client(session).Changes({ ...since, waitMs }), 1.5 * listenMs)),

        subscribe: (home, connection) => persistently(() => answered(client(home).Subscribe({ connection }))),

        post: (home, connection, message) =>
          Effect.flatMap(randomId("o_"), (name) =>
            persistently(() => answered(client(home).Post({ connection, name, message }))),
          ),

        isHere: (session) => sharding.hasShardId(sharding.getShardId(EntityId.make(session), "default")),

        release: (session) =>
          client(session)
            .Release()
            .pipe(
              timeLimit("8 seconds", () => new Unavailable({ what: "the session's node" })),
              Effect.catchAllCause((cause) =>
                Effect.logDebug("release left to the reconciler", Cause.pretty(cause)),
              ),
            ),
      }
    }),
  )
}

/**
 * One call of the entity, bounded. An owner that goes away looks like an interrupt to its caller, and one
 * that is frozen like nothing at all: both become `SessionMoved`.
 */
const answered = <A>(
  call: Effect.Effect<A, SessionError | MailboxFull | AlreadyProcessingMessage | PersistenceError>,
  limitMs = 2 * waitMs,
): Effect.Effect<A, SessionError> =>
  call.pipe(
    timeLimit(limitMs, () => new SessionMoved()),
    Effect.catchTags({
      MailboxFull: () => Effect.fail(new TooManyOperations({ limit: 1024 })),
      AlreadyProcessingMessage: () => Effect.fail(new SessionMoved()),
      PersistenceError: () => Effect.fail(new Unavailable({ what: "Postgres" })),
    }),
    Effect.catchAllCause((cause) =>
      Cause.isInterruptedOnly(cause) ? Effect.fail(new SessionMoved()) : Effect.failCause(cause),
    ),
  )
