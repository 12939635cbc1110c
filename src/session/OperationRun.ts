/** One operation's way through its tool: recorded before it starts, decoded, run, and recorded as ended. */
import { type Duration, Effect, Predicate, Schema } from "effect"
import { createHash } from "node:crypto"
import type { Content } from "../domain/Content.ts"
import { type Explained, failureOf } from "../domain/Failure.ts"
import type { ContainerId, OperationId, SessionId } from "../domain/Identity.ts"
import type { Operation, Outcome, Reply } from "../domain/Operation.ts"
import { SandboxLost } from "../domain/SandboxError.ts"
import { OperationIdReused, type SessionError, type UnknownTemplate } from "../domain/SessionError.ts"
import type { Sandbox } from "../sandbox/Sandbox.ts"
import type { Registry } from "../tools/Registry.ts"
import type { SessionCommands } from "../tools/commands/SessionCommands.ts"
import type { AnyOwnerTool, CheckpointState, OwnerCall } from "../tools/Tool.ts"
import type { SessionFiles } from "./SessionFiles.ts"
import type { Claim, SessionRows } from "./SessionRows.ts"
import { interrupted } from "./StoredOutcome.ts"

/** What operations need of their session. */
export interface OperationContext {
  readonly session: SessionId
  readonly claim: { readonly current: Claim }
  readonly rows: SessionRows["Type"]
  readonly files: SessionFiles
  /** The session's sandbox, where there is one: of what changes something in it and takes none. */
  readonly sandbox: () => Sandbox | undefined
  readonly commands: SessionCommands
  /** Any tool, by its name. */
  readonly find: Registry["Type"]["find"]
  /** How long an answer of its client is waited for. */
  readonly patience: Duration.Duration
  /** How long nothing may be heard of whoever waits for an operation that ends with its caller. */
  readonly expiry: Duration.Duration
  /** Whether callers can reach the session at all. */
  readonly isReached: () => boolean
  /** Gives a tool what it knows of its session. */
  readonly callOf: (
    tool: AnyOwnerTool,
    operation: Operation,
  ) => Effect.Effect<Omit<OwnerCall, "show">, UnknownTemplate>
  /** Is told when the sandbox turned out to be gone. */
  readonly onLost: (container: ContainerId) => Effect.Effect<void>
}

/** Failures before anything ran: the caller may repeat the call, also under the same id. */
const nothingRan = new Set([
  "network_needed",
  "workspace_lost",
  "capacity",
  "invalid_arguments",
  "invalid_content",
  "unavailable",
  "session_moved",
  "session_closed",
  "unknown_template",
  "not_restored",
  "files_reverted",
])

export const make = ({ session, claim, rows, files, sandbox, callOf, onLost }: OperationContext) => {
  /** Asks something of a tool, with what an operation gives it; `has` is told of the sandbox that it takes. */
  const withCall = (
    tool: AnyOwnerTool,
    operation: Operation,
    ask: AnyOwnerTool["handler"],
    has: (sandbox: Sandbox) => void = () => {},
  ) =>
    Effect.gen(function* () {
      const decoded: unknown = yield* Effect.orDie(Schema.decodeUnknown(tool.input)(operation.input))
      const call = yield* callOf(tool, operation)
      const sandbox = Effect.tap(call.sandbox, (sandbox) => Effect.sync(() => has(sandbox)))
      const shown: Array<Content> = []
      const show = (content: Content) => void shown.push(content)
      const output: unknown = yield* ask(decoded, { ...call, sandbox, show })
      return { output, encoded: yield* Effect.orDie(Schema.encodeUnknown(tool.output)(output)), shown }
    })

  const handle = (
    tool: AnyOwnerTool,
    operation: Operation,
    has?: (sandbox: Sandbox) => void,
  ): Effect.Effect<Outcome> =>
    withCall(tool, operation, tool.handler, has).pipe(
      Effect.map(({ encoded, output, shown }): Outcome => ({
        _tag: "Answered",
        state: tool.stateOf?.(output) ?? "succeeded",
        output: encoded,
        ...(tool.content === undefined ? {} : { content: tool.content(output) }),
        ...(shown.length === 0
          ? {}
          : { content: [{ type: "text", text: JSON.stringify(encoded) }, ...shown] }),
      })),
      Effect.tapError((error) => (error instanceof SandboxLost ? onLost(error.container) : Effect.void)),
      Effect.catchAll((error: Explained) =>
        Effect.succeed<Outcome>({ _tag: "Failed", state: "failed", failure: failureOf(error) }),
      ),
      Effect.catchAllDefect((defect) =>
        Effect.as(Effect.logError(`${tool.name} failed`, defect), internalError),
      ),
    )

  const finish = (id: OperationId, outcome: Outcome, state?: CheckpointState) =>
    Effect.suspend(() => {
      const unsaved = state?.state === "failed" || state?.state === "pending"
      return hasRun(outcome)
        ? rows.finish(session, claim.current.epoch, id, outcome, unsaved)
        : rows.abandon(session, claim.current.epoch, id)
    }).pipe(
      Effect.retry({ while: (error) => error._tag === "Unavailable", times: 1 }),
      Effect.catchAll((error) =>
        Effect.logWarning(`the end of operation ${id} could not be recorded`, error.message),
      ),
    )

  /** Records how an operation ended, with the files that it left; gives what its caller is told. */
  const end = Effect.fnUntraced(function* (id: OperationId, outcome: Outcome, used: Sandbox | undefined) {
    if (!hasRun(outcome)) return yield* Effect.as(finish(id, outcome), outcome)
    const state = yield* files.end(used ?? sandbox(), {
      finish: (state) => finish(id, withState(outcome, state), state),
      commit: (state, checkpoint) =>
        rows.commit(session, claim.current.epoch, checkpoint, {
          operation: id,
          outcome: withState(outcome, state),
        }),
    })
    return withState(outcome, state)
  })

  return {
    /**
     * Runs it to its end, unless it was begun before: then that is its outcome. To be run where it cannot be
     * interrupted: what has come to its end is then recorded with that end and no other.
     */
    run: (
      tool: AnyOwnerTool,
      operation: Operation,
      inputHash: string,
    ): Effect.Effect<Outcome, SessionError> =>
      Effect.gen(function* () {
        if (!tool.changes) return yield* Effect.interruptible(handle(tool, operation))
        const row = { ...rowOf(tool, operation, inputHash), unsaved: files.isOff }
        const begun = yield* Effect.interruptible(rows.begin(session, claim.current.epoch, row))
        if (begun._tag === "Begun") {
          let used: Sandbox | undefined
          const handled = handle(tool, operation, (sandbox) => (used = sandbox))
          return yield* end(operation.id, yield* Effect.interruptible(handled), used)
        }
        if (begun.inputHash !== inputHash) return yield* new OperationIdReused({ operation: operation.id })
        return begun._tag === "Ended" ? begun.outcome : interrupted(operation.id)
      }),

    /** Records one that is answered by another's outcome: it too is never run by a later owner. */
    join: (
      tool: AnyOwnerTool,
      operation: Operation,
      inputHash: string,
      outcome: Effect.Effect<Outcome, SessionError>,
    ) =>
      Effect.gen(function* () {
        if (!tool.changes) return
        const begun = yield* rows.begin(session, claim.current.epoch, rowOf(tool, operation, inputHash))
        if (begun._tag !== "Begun") return
        yield* Effect.forkDaemon(
          Effect.ignore(
            Effect.flatMap(outcome, (outcome) =>
              // The row of what was interrupted is ended by the session's next owner.
              outcome.state === "interrupted" ? Effect.void : finish(operation.id, outcome),
            ),
          ),
        )
      }),

    /** How it stands while it goes on; undefined where its tool cannot say. */
    standing: (tool: AnyOwnerTool, operation: Operation): Effect.Effect<Reply | undefined> =>
      tool.partial === undefined
        ? Effect.succeed(undefined)
        : withCall(tool, operation, tool.partial.answer).pipe(
            Effect.map(({ encoded }): Reply => ({ _tag: "Running", output: encoded })),
            // Then its end is near.
            Effect.orElseSucceed(() => undefined),
          ),

    finish,
  }
}

/** Whether anything was run that a repeat of its id would run again. */
export const hasRun = (outcome: Outcome) =>
  outcome._tag === "Answered" || !nothingRan.has(outcome.failure.code)

/** An answer that says how it stands with its files, also where it shows itself as text. */
const withState = (outcome: Outcome, checkpoint: CheckpointState): Outcome => {
  if (outcome._tag !== "Answered" || !Predicate.hasProperty(outcome.output, "checkpoint")) return outcome
  const output = { ...outcome.output, checkpoint }
  const text = JSON.stringify(outcome.output)
  const content = outcome.content?.map((part) =>
    part.type === "text" && part.text === text ? { ...part, text: JSON.stringify(output) } : part,
  )
  return { ...outcome, output, ...(content === undefined ? {} : { content }) }
}

const rowOf = ({ name }: AnyOwnerTool, operation: Operation, inputHash: string) => ({
  id: operation.id,
  tool: name,
  inputHash,
  origin: operation.origin,
})

/** Of what was asked, however long its caller waits: the same id may not be used for anything else. */
export const hashOf = ({ input, tool }: Operation) => {
  const { wait_ms: _, ...asked } = input as Record<string, unknown>
  return createHash("sha256")
    .update(`${tool}\n${JSON.stringify(asked)}`)
    .digest("hex")
}

const internalError: Outcome = {
  _tag: "Failed",
  state: "failed",
  failure: {
    code: "internal_error",
    message: "The server failed while it worked on this call.",
    next: "Try again; if it stays so, the operator finds the reason in this node's log.",
  },
}
