/**
 * The operations of one session on the node that owns it. Each runs in a fiber of its own, detached from its
 * caller, until its end, its cancel or the session's release. One that changes anything is recorded before it starts;
 * its id then starts nothing a second time, here or on a later owner. What has ended stays for a while, so that a
 * caller whose connection broke can fetch it again.
 */
import { Deferred, Effect, Exit, Fiber, Option } from "effect"
import type { NumberedEvent, OperationEvent, Origin, Question, QuestionReply } from "../domain/Event.ts"
import type { ConnectionId, OperationId } from "../domain/Identity.ts"
import { milliseconds } from "../domain/Monotonic.ts"
import { cancelled, type Operation, type Outcome, type Reply } from "../domain/Operation.ts"
import {
  OperationIdReused,
  QuestionNotAnswered,
  type SessionError,
  SessionMoved,
  TooManyOperations,
} from "../domain/SessionError.ts"
import { entryOf, isFor, isLong, isRunning, type OperationEntry } from "./OperationEntry.ts"
import * as OperationRun from "./OperationRun.ts"
import * as Retention from "./Retention.ts"
import { interrupted } from "./StoredOutcome.ts"

/** Operations of one session that run at once: of those that go on after an answer, and of the others. */
const maxRunning = 64

/** What an operation came to since a caller's last look. */
export interface Page {
  readonly events: ReadonlyArray<NumberedEvent>
  /** Undefined: ask again. */
  readonly reply: Reply | undefined
  readonly origin: Origin | undefined
}

export interface Operations {
  /** Begins an operation, or joins the one of that id, or that runs for the very same request. */
  readonly begin: (operation: Operation) => Effect.Effect<void, SessionError>
  /**
   * The events after `after` (none where undefined), and the outcome, or how it stands once its caller does not wait
   * any longer. Waits up to `waitMs` milliseconds for either. `SessionMoved` for an id that is not known here, which
   * says: begin it again, under the same id.
   */
  readonly page: (
    id: OperationId,
    after: number | undefined,
    waitMs: number,
  ) => Effect.Effect<Page, SessionError>
  /**
   * `page`, of a request of this connection alone, also where only its row is left; undefined for any other. From now on
   * the operation answers the request `as`, where there is such.
   */
  readonly resume: (
    connection: ConnectionId,
    id: OperationId,
    after: number,
    waitMs: number,
    as?: Origin["request"],
  ) => Effect.Effect<Page | undefined, SessionError>
  /** How an operation of the session ended; undefined while it runs, and where none is known. */
  readonly ended: (id: OperationId) => Effect.Effect<Outcome | undefined, SessionError>
  /** As `ended`, but waits for the end of one that runs. */
  readonly outcomeOf: (id: OperationId) => Effect.Effect<Outcome | undefined, SessionError>
  readonly running: () => ReadonlyArray<OperationId>
  /** Whether an operation runs whose callers need not wait for its end. */
  readonly goesOn: (id: OperationId) => boolean
  /** Whether an operation of that request was begun here, and is remembered. */
  readonly knows: (connection: ConnectionId, request: Origin["request"]) => boolean
  /** Cancels what runs for a request that is not answered yet; says whether there is such. */
  readonly cancel: (connection: ConnectionId, request: Origin["request"]) => Effect.Effect<boolean>
  /** Somebody waits for an operation that ends with its caller. */
  readonly follow: (id: OperationId) => void
  /** Notes an event of an operation that runs. */
  readonly emit: (id: OperationId, event: OperationEvent) => void
  /** Asks the client whose request an operation answers; gives what it says. */
  readonly ask: (id: OperationId, question: Question) => Effect.Effect<unknown, QuestionNotAnswered>
  /** Takes what a client says to a question of its own request; lets go what is not. */
  readonly answer: (connection: ConnectionId, id: OperationId, question: number, reply: QuestionReply) => void
  /** Forgets what ended long ago. */
  readonly tidy: () => void
  /** Ends all that run as interrupted, or those alone. */
  readonly interrupt: (ids?: ReadonlyArray<OperationId>) => Effect.Effect<void>
}

export const make = (context: OperationRun.OperationContext): Operations => {
  const { run, join, standing, finish } = OperationRun.make(context)
  const { session, rows } = context
  const entries = new Map<OperationId, OperationEntry>()
  const active = new Set<OperationEntry>()
  const running = () => [...entries].filter(([, entry]) => isRunning(entry)).map(([id]) => id)

  const tidy = () => {
    const ended: Array<Retention.Ended> = []
    for (const [id, { endedAt, kept }] of entries)
      if (endedAt !== undefined) ended.push({ id, endedAt, kept })
    for (const { id } of Retention.overdue(ended)) entries.delete(id)
  }

  const twinOf = ({ origin }: Operation, inputHash: string) =>
    origin === undefined
      ? undefined
      : [...active].find(
          (entry) =>
            !entry.isCancelled &&
            isFor(entry, origin.connection, origin.request) &&
            entry.inputHash === inputHash,
        )

  const cancel = Effect.fnUntraced(function* (entry: OperationEntry) {
    entry.isCancelled = true
    const { operation, tool } = entry
    // A command ends with what it has written so far; anything else just stops.
    if (tool.cancel !== undefined && (yield* tool.cancel(operation.id, context.commands))) return
    if (entry.fiber !== undefined) yield* Fiber.interrupt(entry.fiber)
    // It may have come to its own end meanwhile.
    const end = yield* Effect.option(Deferred.await(entry.outcome))
    if (
      tool.changes &&
      Option.isSome(end) &&
      end.value._tag === "Failed" &&
      end.value.state === "cancelled"
    ) {
      yield* finish(operation.id, end.value)
    }
  })

  const begin = Effect.fnUntraced(function* (operation: Operation) {
    const inputHash = OperationRun.hashOf(operation)
    const due = (yield* milliseconds) + (operation.answerMs ?? Infinity)
    const outcome = yield* Deferred.make<Outcome, SessionError>()
    // No other fiber may come between the look for an entry and the new one: nothing is waited for from here to there.
    const known = entries.get(operation.id)
    // What has ended otherwise is told from its row, and done again where nothing was recorded.
    if (known !== undefined && (isRunning(known) || (known.isRecorded && known.inputHash === inputHash))) {
      if (known.inputHash !== inputHash) return yield* new OperationIdReused({ operation: operation.id })
      known.origin = operation.origin ?? known.origin
      known.isFollowed = operation.isFollowed === true
      known.silence.break()
      known.isAnswered = false
      known.isCancelled = false
      known.answerAt = due
      return
    }
    const tool = context.find(operation.tool)
    if (tool === undefined || tool.place !== "owner")
      return yield* Effect.dieMessage(`no tool ${operation.tool}`)
    // Commands that run for long leave room for those that look after them.
    let alike = 0
    for (const entry of entries.values()) {
      if (isRunning(entry) && isLong(entry.tool) === isLong(tool)) alike++
    }
    if (alike >= maxRunning) return yield* new TooManyOperations({ limit: maxRunning })
    const twin = twinOf(operation, inputHash)
    if (twin !== undefined) {
      yield* Effect.interruptible(join(tool, operation, inputHash, Deferred.await(twin.outcome)))
      return void entries.set(operation.id, twin)
    }
    const entry = entryOf({ tool, operation, inputHash, outcome, due, patience: context.patience })
    entries.delete(operation.id)
    entries.set(operation.id, entry)
    active.add(entry)
    entry.fiber = yield* run(tool, operation, inputHash).pipe(
      Effect.onExit((exit) => {
        const outcome = Exit.isInterrupted(exit)
          ? Exit.succeed(entry.isCancelled ? cancelled(operation.id) : interrupted(operation.id))
          : exit
        entry.endedAt = performance.now()
        entry.isRecorded = tool.changes && Exit.isSuccess(exit) && OperationRun.hasRun(exit.value)
        entry.operation = { ...operation, input: undefined }
        entry.kept =
          entry.log.characters + (Exit.isSuccess(outcome) ? Retention.charactersOf(outcome.value) : 0)
        active.delete(entry)
        tidy()
        return Effect.tap(Deferred.done(entry.outcome, outcome), () => entry.log.end())
      }),
      Effect.exit,
      Effect.asVoid,
      Effect.forkDaemon,
    )
    if (entry.isFollowed) {
      const isAlone = () => entry.isFollowed && !entry.isAnswered && !entry.questions.areOpen
      yield* entry.silence
        .lasts(context.expiry, () => context.isReached() && isAlone())
        .pipe(
          Effect.zipRight(cancel(entry)),
          Effect.raceFirst(Effect.ignore(Deferred.await(outcome))),
          Effect.interruptible,
          Effect.forkDaemon,
        )
    }
  }, Effect.uninterruptible)

  const pageOf = Effect.fnUntraced(function* (
    entry: OperationEntry,
    after: number | undefined,
    waitMs: number,
  ) {
    const { log, operation, outcome, tool } = entry
    const answerMs = entry.answerAt - (yield* milliseconds)
    yield* log.changed(after ?? Infinity, Math.max(shortest, Math.min(waitMs, answerMs)))
    const events = after === undefined ? [] : log.after(after)
    const { origin } = entry
    const isWhole = after === undefined || (events.at(-1)?.seq ?? after) >= log.last
    const end = yield* Deferred.poll(outcome)
    if (Option.isNone(end)) {
      const isDue = (yield* milliseconds) >= entry.answerAt
      const reply = isDue ? yield* standing(tool, operation) : undefined
      if (reply !== undefined) entry.isAnswered = true
      return { events, origin, reply }
    }
    if (!isWhole) return { events, origin, reply: undefined }
    const reply: Reply = yield* end.value
    return { events, origin, reply: entry.isCancelled ? { _tag: "Cancelled" as const } : reply }
  })

  const outcomeOf: Operations["outcomeOf"] = (id) =>
    Effect.suspend(() => {
      const entry = entries.get(id)
      return entry === undefined
        ? Effect.map(rows.outcome(session, id), (row) => row?.outcome)
        : Deferred.await(entry.outcome)
    })

  return {
    begin,
    page: (id, after, waitMs) =>
      Effect.suspend((): Effect.Effect<Page, SessionError> => {
        const entry = entries.get(id)
        return entry === undefined ? Effect.fail(new SessionMoved()) : pageOf(entry, after, waitMs)
      }),
    resume: Effect.fnUntraced(function* (connection, id, after, waitMs, as) {
      const entry = entries.get(id)
      if (entry !== undefined) {
        if (entry.origin?.connection !== connection) return undefined
        if (as !== undefined) entry.origin = { ...entry.origin, request: as }
        entry.silence.break()
        return yield* pageOf(entry, after, waitMs)
      }
      const row = yield* rows.outcome(session, id)
      return row?.origin?.connection === connection
        ? { events: [], reply: row.outcome, origin: row.origin }
        : undefined
    }),
    ended: (id) =>
      Effect.suspend(() => {
        const isOver = entries.get(id)?.endedAt !== undefined || !entries.has(id)
        return isOver ? outcomeOf(id) : Effect.succeed(undefined)
      }),
    outcomeOf,
    running,
    goesOn: (id) => {
      const entry = entries.get(id)
      return entry !== undefined && isRunning(entry) && isLong(entry.tool)
    },
    knows: (connection, request) => [...entries.values()].some((entry) => isFor(entry, connection, request)),
    cancel: (connection, request) =>
      Effect.suspend(() => {
        // A client that began to count anew means its later request.
        const entry = [...active].findLast((entry) => !entry.isAnswered && isFor(entry, connection, request))
        return entry === undefined ? Effect.succeed(false) : Effect.as(cancel(entry), true)
      }),
    follow: (id) => entries.get(id)?.silence.break(),
    emit: (id, event) => void entries.get(id)?.log.emit(event),
    ask: (id, question) =>
      Effect.suspend(() => {
        const entry = entries.get(id)
        return entry === undefined
          ? Effect.fail(new QuestionNotAnswered({ problem: "the call is over" }))
          : entry.questions.ask(entry.origin, question)
      }),
    answer: (connection, id, question, reply) => {
      const entry = entries.get(id)
      if (entry?.origin?.connection === connection) entry.questions.answer(question, reply)
    },
    tidy,
    interrupt: (ids = [...entries.keys()]) =>
      Effect.suspend(() => {
        const ending = ids.flatMap((id) => entries.get(id) ?? [])
        return Fiber.interruptAll(ending.flatMap(({ fiber }) => fiber ?? [])).pipe(
          // Another owner may have written something else.
          Effect.zipLeft(Effect.sync(() => ending.forEach((entry) => (entry.isRecorded = false)))),
        )
      }),
  }
}

/** In milliseconds: whoever asks again and again is not answered faster than that. */
const shortest = 5
