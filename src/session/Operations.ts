/**
 * The operations of one session on the node that owns it. Each runs in a fiber of its own, detached from its
 * caller, until its end or the session's release. One that changes anything is recorded before it starts;
 * its id then starts nothing a second time, here or on a later owner.
 */
import { Deferred, Effect, Exit, Fiber, Option, Schema } from "effect"
import { createHash } from "node:crypto"
import { type Explained, failureOf } from "../domain/Failure.ts"
import type { ContainerId, OperationId, SessionId } from "../domain/Identity.ts"
import type { Operation, Outcome, Reply } from "../domain/Operation.ts"
import { SandboxLost } from "../domain/SandboxError.ts"
import {
  OperationIdReused,
  type SessionError,
  SessionMoved,
  TooManyOperations,
  type UnknownTemplate,
} from "../domain/SessionError.ts"
import * as Registry from "../tools/Registry.ts"
import type { AnyOwnerTool, OwnerCall } from "../tools/Tool.ts"
import { type Claim, interrupted, type SessionRows } from "./SessionRows.ts"

/** Operations of one session that run at once: of those that change anything, and of the others. */
const maxRunning = 64

/** Ended operations whose outcome is kept for a caller that has not fetched it. */
const maxUnread = 64

/** Failures before anything ran: the caller may repeat the call, also under the same id. */
const nothingRan = new Set([
  "workspace_lost",
  "capacity",
  "invalid_arguments",
  "invalid_content",
  "unavailable",
  "session_moved",
  "session_closed",
  "unknown_template",
])

interface Entry {
  readonly tool: AnyOwnerTool
  readonly operation: Operation
  readonly inputHash: string
  readonly outcome: Deferred.Deferred<Outcome, SessionError>
  fiber: Fiber.RuntimeFiber<void> | undefined
  ended: boolean
}

export interface Operations {
  /** Begins an operation, or joins the one of that id. */
  readonly begin: (operation: Operation) => Effect.Effect<void, OperationIdReused | TooManyOperations>
  /**
   * The outcome; after `waitMs` milliseconds without one, how it stands where `partial` and its tool can say that,
   * and `undefined` otherwise. `SessionMoved` for an id that is not known here, which says: begin it again, under the
   * same id.
   */
  readonly reply: (
    id: OperationId,
    waitMs: number,
    partial: boolean,
  ) => Effect.Effect<Reply | undefined, SessionError>
  /** How an operation of the session ended; undefined while it runs, and where none is known. Takes nothing away. */
  readonly ended: (id: OperationId) => Effect.Effect<Outcome | undefined, SessionError>
  readonly running: () => ReadonlyArray<OperationId>
  /** Ends all that run as interrupted. */
  readonly interrupt: Effect.Effect<void>
}

/** `callOf` gives a tool what it knows of its session; `onLost` is told when the sandbox turned out to be gone. */
export const make = (
  session: SessionId,
  claim: { readonly current: Claim },
  rows: SessionRows["Type"],
  callOf: (tool: AnyOwnerTool, operation: Operation) => Effect.Effect<OwnerCall, UnknownTemplate>,
  onLost: (container: ContainerId) => Effect.Effect<void>,
): Operations => {
  const entries = new Map<OperationId, Entry>()
  const unread: Array<OperationId> = []
  const running = () => [...entries].filter(([, { ended }]) => !ended).map(([id]) => id)

  const begin = Effect.fnUntraced(function* (operation: Operation) {
    const inputHash = hashOf(operation)
    const known = entries.get(operation.id)
    if (known !== undefined) {
      if (known.inputHash !== inputHash) return yield* new OperationIdReused({ operation: operation.id })
      return
    }
    const tool = Registry.find(operation.tool)
    if (tool === undefined || tool.place !== "owner")
      return yield* Effect.dieMessage(`no tool ${operation.tool}`)
    // Commands that run for long leave room for those that look after them.
    const alike = [...entries.values()].filter((entry) => !entry.ended && entry.tool.changes === tool.changes)
    if (alike.length >= maxRunning) return yield* new TooManyOperations({ limit: maxRunning })
    const entry: Entry = {
      tool,
      operation,
      inputHash,
      outcome: yield* Deferred.make<Outcome, SessionError>(),
      fiber: undefined,
      ended: false,
    }
    entries.set(operation.id, entry)
    entry.fiber = yield* run(tool, operation, inputHash).pipe(
      Effect.onExit((exit) =>
        Effect.zipRight(
          settle(operation.id),
          Deferred.done(
            entry.outcome,
            Exit.isInterrupted(exit)
              ? Exit.succeed(interrupted(operation.id))
              : Exit.map(exit, (outcome) => outcome),
          ),
        ),
      ),
      Effect.exit,
      Effect.asVoid,
      Effect.forkDaemon,
    )
  }, Effect.uninterruptible)

  const settle = (id: OperationId) =>
    Effect.sync(() => {
      const entry = entries.get(id)
      if (entry !== undefined) entry.ended = true
      unread.push(id)
      if (unread.length > maxUnread) entries.delete(unread.shift()!)
    })

  const run = (
    tool: AnyOwnerTool,
    operation: Operation,
    inputHash: string,
  ): Effect.Effect<Outcome, SessionError> =>
    Effect.gen(function* () {
      if (!tool.changes) return yield* handle(tool, operation)
      const begun = yield* rows.begin(session, claim.current.epoch, {
        id: operation.id,
        tool: tool.name,
        inputHash,
      })
      if (begun._tag === "Begun") {
        const outcome = yield* handle(tool, operation)
        yield* finish(operation.id, outcome)
        return outcome
      }
      if (begun.inputHash !== inputHash) return yield* new OperationIdReused({ operation: operation.id })
      return begun._tag === "Ended" ? begun.outcome : interrupted(operation.id)
    }).pipe(Effect.interruptible)

  const finish = (id: OperationId, outcome: Outcome) =>
    Effect.suspend(() =>
      outcome._tag === "Failed" && nothingRan.has(outcome.failure.code)
        ? rows.abandon(session, claim.current.epoch, id)
        : rows.finish(session, claim.current.epoch, id, outcome),
    ).pipe(
      Effect.retry({ while: (error) => error._tag === "Unavailable", times: 1 }),
      Effect.catchAll((error) =>
        Effect.logWarning(`the end of operation ${id} could not be recorded`, error.message),
      ),
    )

  const handle = (tool: AnyOwnerTool, operation: Operation): Effect.Effect<Outcome> =>
    withCall(tool, operation, tool.handler).pipe(
      Effect.map(({ encoded, output }): Outcome => ({
        _tag: "Answered",
        state: tool.stateOf?.(output) ?? "succeeded",
        output: encoded,
      })),
      Effect.tapError((error) => (error instanceof SandboxLost ? onLost(error.container) : Effect.void)),
      Effect.catchAll((error: Explained) =>
        Effect.succeed<Outcome>({ _tag: "Failed", state: "failed", failure: failureOf(error) }),
      ),
      Effect.catchAllDefect((defect) =>
        Effect.as(Effect.logError(`${tool.name} failed`, defect), internalError),
      ),
    )

  /** Asks something of a tool, with what an operation gives it. */
  const withCall = (tool: AnyOwnerTool, { input, ...operation }: Operation, ask: AnyOwnerTool["handler"]) =>
    Effect.gen(function* () {
      const decoded: unknown = yield* Effect.orDie(Schema.decodeUnknown(tool.input)(input))
      const output: unknown = yield* ask(decoded, yield* callOf(tool, { ...operation, input }))
      return { output, encoded: yield* Effect.orDie(Schema.encodeUnknown(tool.output)(output)) }
    })

  /** How an operation stands that goes on; undefined where its tool cannot say. */
  const standing = ({ tool, operation }: Entry) =>
    tool.partial === undefined
      ? Effect.succeed(undefined)
      : withCall(tool, operation, tool.partial.answer).pipe(
          Effect.map(({ encoded }): Reply => ({ _tag: "Running", output: encoded })),
          // Then its end is near.
          Effect.orElseSucceed(() => undefined),
        )

  return {
    begin,
    ended: (id) =>
      Effect.suspend(() => {
        const entry = entries.get(id)
        if (entry?.ended === true) return Deferred.await(entry.outcome)
        return entry === undefined ? rows.outcome(session, id) : Effect.succeed(undefined)
      }),
    reply: Effect.fnUntraced(function* (id, waitMs, partial) {
      const entry = entries.get(id)
      if (entry === undefined) return yield* new SessionMoved()
      const outcome = yield* Effect.timeoutOption(Deferred.await(entry.outcome), waitMs)
      if (Option.isNone(outcome)) return partial ? yield* standing(entry) : undefined
      entries.delete(id)
      const index = unread.indexOf(id)
      if (index >= 0) unread.splice(index, 1)
      return outcome.value
    }),
    running,
    interrupt: Effect.suspend(() =>
      Fiber.interruptAll([...entries.values()].flatMap(({ fiber }) => (fiber === undefined ? [] : [fiber]))),
    ),
  }
}

const hashOf = (operation: Operation) =>
  createHash("sha256")
    .update(`${operation.tool}\n${JSON.stringify(operation.input)}`)
    .digest("hex")

const internalError: Outcome = {
  _tag: "Failed",
  state: "failed",
  failure: {
    code: "internal_error",
    message: "The server failed while it worked on this call.",
    next: "Try again; if it stays so, the operator finds the reason in this node's log.",
  },
}
