/**
 * Carries messages between a client on a pipe and a cluster behind a balancer. What the client says is posted as it is,
 * what the cluster says is written as it comes. Each request has a fiber until it is answered: it takes up streams that
 * break, and repeats what nobody answered, which is safe, as a repeated tool call joins the first by its operation id
 * and everything else reads. All fibers end with the scope.
 */
import { Cause, Duration, Effect, Fiber, Option, type Scope, Stream } from "effect"
import * as Link from "./Link.ts"
import { failedCall, failure, type Notification, read, type Request } from "./Message.ts"
import * as Patience from "./Patience.ts"
import * as Repeats from "./Repeats.ts"
import type { ServerEvent } from "./ServerEvents.ts"
import { type Connection, Refused, Unreachable, type Upstream, type UpstreamError } from "./Upstream.ts"

export interface BridgeOptions {
  readonly upstream: Upstream
  /** Writes a line for the client, and waits until it is taken. */
  readonly write: (line: string) => Effect.Effect<void>
  /** Tells the user. */
  readonly log: (sentence: string) => Effect.Effect<void>
  /** The session outlives its connection. */
  readonly isNamed: boolean
  /** For how long the cluster may be silent to `initialize`, and to anything else, in milliseconds. */
  readonly startMs: number
  readonly answerMs: number
}

export interface Bridge {
  /** Takes a line of the client; undefined for one that was too long. Lines are sent in the order of these calls. */
  readonly receive: (line: string | undefined) => Effect.Effect<void>
}

/** A request that is not answered yet. */
interface Open {
  readonly request: Request
  /** The one that it was sent over. */
  connection: Connection | undefined
  /** From here its stream goes on; undefined where it has none yet. */
  place: string | undefined
  /** The number of the last event that was told. */
  seen: number
  isHeard: boolean
  /** Its client wants no answer any more. */
  cancel: Notification | undefined
}

export const make = (options: BridgeOptions): Effect.Effect<Bridge, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { isNamed, log, upstream, write } = options
    const open = new Map<Request["id"], Open>()
    const repeats = Repeats.make()
    let delivering = 0
    // The session was lost with its files, and no call was told.
    let isForfeited = false
    let listener: Fiber.Fiber<unknown> | undefined
    const scope = yield* Effect.scope

    const link: Link.Link = yield* Link.make({
      upstream,
      startMs: options.startMs,
      onOpened: (connection, replaces) =>
        Effect.gen(function* () {
          if (replaces) {
            isForfeited = !isNamed
            yield* log(`The connection had ended; there is a new one${isNamed ? "" : `. ${sessionLost}`}.`)
          }
          const former = listener
          listener = yield* Effect.forkIn(Effect.interruptible(listen(connection)), scope)
          if (former !== undefined) yield* Effect.forkDaemon(Fiber.interrupt(former))
        }),
    })

    /** What the cluster says unasked, for as long as the connection is there. */
    const listen = (connection: Connection) =>
      Effect.gen(function* () {
        const patience = yield* Patience.make(Infinity)
        let place: string | undefined
        const attempt: Effect.Effect<void, UpstreamError> = Effect.gen(function* () {
          const { events } = yield* upstream.listen(connection, place)
          yield* patience.heard
          yield* Stream.runForEach(events, (event) =>
            Effect.tap(tell(event), () => Effect.sync(() => (place = event.id ?? place))),
          )
        }).pipe(
          Effect.scoped,
          Effect.catchTag("ConnectionEnded", () => link.renew(connection)),
          Effect.catchTag("Unreachable", patience.again),
          Effect.zipRight(Effect.sleep(listenPause)),
          Effect.zipRight(Effect.suspend(() => attempt)),
        )
        yield* attempt
      }).pipe(Effect.catchAll((error) => log(sentenceOf(error))))

    /** Writes what an event says, if anything; tells whether it is an answer. */
    const tell = (event: ServerEvent, entry?: Open) =>
      Effect.gen(function* () {
        if (event.data === "") return false
        const json = Option.liftThrowable(JSON.parse)(event.data) as Option.Option<object>
        if (Option.isNone(json)) return yield* Effect.as(log("The cluster said what is no JSON."), false)
        const isAnswer = !("method" in json.value)
        if (!isAnswer || entry?.cancel === undefined) {
          yield* write(event.data.includes("\n") ? JSON.stringify(json.value) : event.data)
        }
        return isAnswer
      })

    /** `tell`, once for each event, also where a stream tells it again. */
    const follow = (entry: Open, event: ServerEvent) =>
      Effect.gen(function* () {
        const number = Number(/\.(\d+)$/.exec(event.id ?? "")?.[1] ?? Infinity)
        if (number <= entry.seen) return false
        const isAnswer = yield* tell(event, entry)
        if (number !== Infinity) entry.seen = number
        entry.place = event.id ?? entry.place
        return isAnswer
      })

    /** A connection has ended under a message: the next try goes over another. */
    const lose = (connection: Connection | undefined) =>
      Effect.zipRight(
        connection === undefined ? Effect.void : link.renew(connection),
        new Unreachable({ problem: "the connection ended" }),
      )

    const attempt = (entry: Open, patience: Patience.Patience) =>
      Effect.gen(function* () {
        const { request } = entry
        const connection = yield* link.current
        const isOrphan = entry.connection === undefined ? isForfeited : entry.connection !== connection
        if (isOrphan && request.isAtHome && !isNamed) {
          isForfeited = false
          return yield* new Refused({ code: -32000, problem: `${sessionLost}. ${rebuild}` })
        }
        entry.connection = connection
        const { place } = entry
        const answer = yield* (
          place === undefined || connection === undefined
            ? upstream.post(request.text, connection)
            : upstream.listen(connection, place)
        ).pipe(
          Effect.tapErrorTag("ConnectionEnded", () => Effect.sync(() => (entry.place = undefined))),
          Effect.catchTag("ConnectionEnded", () => lose(connection)),
        )
        if (!answer.speaks) {
          // Of a stream that it does not know any more it says nothing; it is asked for the outcome then.
          entry.place = undefined
          return yield* new Unreachable({ problem: "it says nothing" })
        }
        yield* patience.heard
        if (answer.streams && request.operation !== undefined) entry.place ??= `${request.operation}.0`
        // A cancel that overtook its request found nothing.
        if (!entry.isHeard && entry.cancel !== undefined) yield* deliver(entry.cancel.text)
        entry.isHeard = true
        return answer.events
      }).pipe(
        patience.bound,
        Effect.flatMap((events) =>
          Stream.runHead(Stream.filterEffect(events, (event) => follow(entry, event))),
        ),
        Effect.filterOrFail(Option.isSome, () => new Unreachable({ problem: "the stream ended early" })),
        Effect.asVoid,
        Effect.scoped,
      )

    /** Sees to a request until it is answered. */
    const pursue = (entry: Open) =>
      Effect.gen(function* () {
        const patience = yield* Patience.make(options.answerMs)
        const again: Effect.Effect<void, UpstreamError> = Effect.catchTag(
          attempt(entry, patience),
          "Unreachable",
          (problem) =>
            // Repeated, it would go on.
            entry.cancel === undefined
              ? Effect.zipRight(patience.again(problem), again)
              : entry.isHeard
                ? Effect.void
                : deliver(entry.cancel.text),
        )
        yield* again
      }).pipe(
        Effect.catchAll((error) =>
          entry.cancel === undefined
            ? write(errorFor(entry.request, error, repeats.expected()))
            : Effect.void,
        ),
      )

    /** Sends what wants no answer. */
    const deliver = (text: string) =>
      Effect.gen(function* () {
        const patience = yield* Patience.make(options.answerMs)
        const again: Effect.Effect<void, UpstreamError> = Effect.gen(function* () {
          const connection = yield* link.current
          yield* Effect.catchTag(upstream.post(text, connection), "ConnectionEnded", () => lose(connection))
        }).pipe(
          patience.bound,
          Effect.scoped,
          Effect.catchTag("Unreachable", (problem) => Effect.zipRight(patience.again(problem), again)),
        )
        yield* again
      }).pipe(Effect.catchAll((error) => log(sentenceOf(error))))

    const initialize = (request: Request) =>
      link.open(request).pipe(
        Effect.tapError((error) => log(sentenceOf(error))),
        Effect.matchEffect({
          onFailure: (error) => write(errorFor(request, error, false)),
          onSuccess: write,
        }),
      )

    const fork = (work: Effect.Effect<void>) =>
      work.pipe(
        Effect.catchAllCause((cause) => (Cause.isInterruptedOnly(cause) ? Effect.void : log(oddity))),
        Effect.forkIn(scope),
      )

    const receive = Effect.fnUntraced(function* (line: string | undefined) {
      if (line?.trim() === "") return
      const message = yield* read(line, repeats)
      if (message._tag === "Garbage") return yield* write(message.answer)
      if (message._tag === "Request") {
        if (open.size >= maxOpen) return yield* write(failure(message.id, -32000, tooMany))
        const entry: Open = {
          request: message,
          connection: undefined,
          place: undefined,
          seen: -1,
          isHeard: false,
          cancel: undefined,
        }
        open.set(message.id, entry)
        const work = message.method === "initialize" ? initialize(message) : pursue(entry)
        yield* fork(
          Effect.ensuring(
            work,
            Effect.sync(() => {
              if (open.get(message.id) === entry) open.delete(message.id)
              if (message.operation !== undefined) repeats.end(message.operation)
            }),
          ),
        )
        return
      }
      if (delivering >= maxOpen) return yield* log(tooMany)
      delivering++
      const work = Effect.ensuring(
        deliver(message.text),
        Effect.sync(() => delivering--),
      )
      const isCancel = message._tag === "Notification" && message.cancels !== undefined
      const entry = isCancel ? open.get(message.cancels) : undefined
      if (entry !== undefined && isCancel) entry.cancel = message
      const fiber = yield* fork(work)
      // What comes after a notification may count on it.
      if (!isCancel) yield* Effect.raceFirst(Fiber.join(fiber), Effect.sleep(overtaking))
    })

    return { receive }
  })

/** Messages under way at once. */
const maxOpen = 1000
const tooMany = `${maxOpen} messages are under way: wait for answers before you send more.`

/** How long what follows waits for a notification. */
const overtaking = Duration.seconds(1)

/** Between two streams for what the cluster says unasked. */
const listenPause = Duration.millis(500)

const sessionLost =
  "The connection's lease had ended (was this machine asleep?), and with it its session and all files"
const rebuild =
  "This call was not run again. A new, empty session is there: write the files again, then go on. Started with --session NAME, the bridge comes back to its files."
const oddity = "Something went wrong with a message; the next ones are served."

const sentenceOf = (error: UpstreamError) => {
  if (error._tag === "Refused") return error.problem
  if (error._tag === "ConnectionEnded") return "The connection has ended: send `initialize` again."
  return `The cluster cannot be reached (${error.problem}): check --url, and that the cluster runs.`
}

const errorFor = ({ id, operation }: Request, error: UpstreamError, isRepeated: boolean) => {
  const isLost = error._tag === "Unreachable" && operation !== undefined
  const sentence = isLost
    ? `${sentenceOf(error)} The call may have run: look at the workspace before you repeat it.`
    : sentenceOf(error)
  return isRepeated && operation !== undefined
    ? failedCall(id, sentence)
    : failure(id, error._tag === "Refused" ? error.code : -32000, sentence)
}
