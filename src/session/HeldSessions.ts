/**
 * What this node holds for the sessions it owns. It belongs to this service and not to the entities, so that
 * an activation that ends and begins again on the same node (idle, Postgres restarted) finds its sandbox and
 * its running operations. `release` ends them, and so does the end of the node.
 */
import { SqlClient } from "@effect/sql"
import { Context, Duration, Effect, Layer, Schedule } from "effect"
import type { SessionId } from "../domain/Identity.ts"
import { Lease } from "../domain/Lease.ts"
import { NodeIdentity } from "../domain/NodeIdentity.ts"
import type { Capacity, SandboxError } from "../domain/SandboxError.ts"
import { type SessionClosed, type SessionNotFound, Unavailable } from "../domain/SessionError.ts"
import { Limits } from "../sandbox/Limits.ts"
import type { Sandbox } from "../sandbox/Sandbox.ts"
import { Sandboxes } from "../sandbox/Sandboxes.ts"
import { type Template, Templates } from "../sandbox/Templates.ts"
import { timeLimit } from "../domain/TimeLimit.ts"
import { settings } from "../Settings.ts"
import { Registry } from "../tools/Registry.ts"
import { SessionCommands } from "../tools/commands/SessionCommands.ts"
import { Checkpoints } from "../workspace/Checkpoints.ts"
import { durability } from "../workspace/Durability.ts"
import { Objects } from "../workspace/Objects.ts"
import { clientOf } from "./OperationClient.ts"
import * as Operations from "./Operations.ts"
import { type Held, unclaimed } from "./Held.ts"
import { type Claim, SessionRows } from "./SessionRows.ts"
import * as SessionNetwork from "./SessionNetwork.ts"
import * as SessionFiles from "./SessionFiles.ts"
import * as SessionSandbox from "./SessionSandbox.ts"

/** For the last save of a node that leaves. */
const lastSave = "3 seconds"

export class HeldSessions extends Context.Tag("codegen-mcp/session/HeldSessions")<
  HeldSessions,
  {
    /** Makes this node the session's owner, once more where it was before, and gives its operations. */
    readonly claim: (
      id: SessionId,
    ) => Effect.Effect<Operations.Operations, SessionNotFound | SessionClosed | Unavailable>
    /** Whether the node has lost its locks since it claimed the session, and has them again. */
    readonly isOutdated: (id: SessionId) => boolean
    /**
     * The session's entity ended: what the session holds stays, and it is forgotten once it holds nothing. Where the
     * node does not own it any more, nothing starts there and nothing is reached until it is claimed again.
     */
    readonly rest: (id: SessionId, isOwned: boolean) => Effect.Effect<void>
    /** The session's sandbox, where this node holds one. */
    readonly sandbox: (id: SessionId) => Sandbox | undefined
    /** Ends the session's operations on this node and removes its sandbox. */
    readonly release: (id: SessionId) => Effect.Effect<void>
    /**
     * As `release`, but the session goes on elsewhere: what runs may end within DRAIN_TIMEOUT, and what the rest has
     * changed so far is saved.
     */
    readonly leave: (id: SessionId) => Effect.Effect<void>
    /**
     * The node is going to leave: waits for what runs now, for LEAVE_DELAY at least, and works on meanwhile. What runs
     * on past DRAIN_TIMEOUT is then interrupted, while whoever waits for it can still be told.
     */
    readonly settle: Effect.Effect<void>
    readonly isLeaving: () => boolean
  }
>() {
  static readonly layer = Layer.scoped(
    HeldSessions,
    Effect.gen(function* () {
      const { node } = yield* NodeIdentity
      const lease = yield* Lease
      const sql = yield* SqlClient.SqlClient
      const networkMax = yield* settings.networkMax.config
      const limits = yield* Limits
      const sandboxes = yield* Sandboxes
      const templates = yield* Templates
      const rows = yield* SessionRows
      const checkpoints = yield* Checkpoints
      const objects = yield* Objects
      const mode = yield* settings.checkpoint.config
      const wait = yield* settings.checkpointWait.config
      const survives = yield* durability
      const hibernateMs = Duration.toMillis(yield* settings.hibernateAfter.config)
      const registry = yield* Registry
      const patience = yield* settings.questionTimeout.config
      const expiry = yield* settings.nodeExpiry.config
      const idleMs = Duration.toMillis(yield* settings.idleTimeout.config)
      const drain = yield* settings.drainTimeout.config
      const delay = yield* settings.leaveDelay.config
      const sessions = new Map<SessionId, Held>()
      let isLeaving = false

      const ended = (of: ReadonlyArray<Held>) =>
        Effect.forEach(
          of.flatMap(({ operations }) => operations.running().map(operations.outcomeOf)),
          Effect.ignore,
          { concurrency: "unbounded", discard: true },
        ).pipe(
          timeLimit(drain, () => "they run on" as const),
          Effect.ignore,
        )

      const isResting = ({ operations }: Held) => operations.running().length === 0

      /** On a full node the sandbox goes that was unused for longest, of those that a new one can take the place of. */
      const makeWithRoom = (template: Template): Effect.Effect<Sandbox, SandboxError | Capacity> =>
        Effect.catchTag(sandboxes.make(template), "Capacity", (full) => {
          if (full.what === "bytes of disk") return Effect.fail(full)
          const [oldest] = [...sessions.values()]
            .filter((held) => held.sandbox.isSpare() && isResting(held))
            .sort((a, b) => a.usedAt - b.usedAt)
          // Where another caller was faster, the next oldest goes.
          return oldest === undefined
            ? Effect.fail(full)
            : Effect.zipRight(
                oldest.sandbox.hibernate(() => isResting(oldest)),
                makeWithRoom(template),
              )
        })

      const hold = (id: SessionId): Held => {
        const claim: { current: Claim } = { current: unclaimed }
        const template = Effect.suspend(() => templates.find(claim.current.template))
        const make = Effect.flatMap(template, makeWithRoom)
        const files = SessionFiles.make({
          session: id,
          claim,
          rows,
          checkpoints,
          template,
          mode,
          patience: wait,
        })
        const sandbox = SessionSandbox.make(id, claim, { ...sandboxes, make }, rows, files)
        const network = SessionNetwork.make(id, claim, sandbox.current, networkMax, sql)
        const commands = new SessionCommands()
        const operations: Operations.Operations = Operations.make({
          session: id,
          claim,
          rows,
          files,
          sandbox: sandbox.current,
          commands,
          find: registry.find,
          patience,
          expiry,
          isReached: () => held.active,
          callOf: (tool, operation) => {
            held.usedAt = performance.now()
            const { log, ...client } = clientOf(operations, operation)
            const before = sandbox.container()
            return Effect.map(template, (template) => ({
              operation: operation.id,
              session: { id, name: claim.current.name, epoch: claim.current.epoch },
              principal: claim.current.principal,
              base: operation.base ?? "",
              objects,
              ownerNode: node,
              edgeNode: operation.edgeNode,
              limits,
              template,
              commands,
              network: network.of(template),
              goesOn: operations.goesOn,
              outcomeOf: operations.ended,
              endOf: operations.outcomeOf,
              durability: survives,
              checkpoint: files.state,
              ...client,
              log,
              sandbox: Effect.tap(sandbox.acquire(tool.changes), (live) => {
                if (live.id !== before)
                  log("info", `A sandbox was started, by the template ${template.name}.`)
                return network.apply(live, template)
              }),
            }))
          },
          onLost: sandbox.lose,
        })
        const usedAt = performance.now()
        const held: Held = { claim, sandbox, files, operations, term: undefined, usedAt, active: false }
        return held
      }

      const end = ({ operations, sandbox }: Held) => Effect.zipRight(operations.interrupt(), sandbox.remove)

      const release = Effect.fn("HeldSessions.release")(function* (id: SessionId) {
        const held = sessions.get(id)
        if (held === undefined) return
        yield* end(held)
        if (sessions.get(id) === held) sessions.delete(id)
      })

      const leave = Effect.fn("HeldSessions.leave")(
        function* (id: SessionId) {
          const held = sessions.get(id)
          if (held === undefined) return
          // Nobody can ask for what has its time to end.
          held.active = false
          yield* ended([held])
          yield* held.operations.interrupt()
          const sandbox = held.sandbox.current()
          if (sandbox !== undefined) {
            yield* held.files.save(sandbox).pipe(
              timeLimit(lastSave, () => new Unavailable({ what: "Postgres" })),
              Effect.ignore,
            )
          }
          yield* release(id)
        },
        (leaving, id) =>
          leaving.pipe(
            timeLimit(Duration.sum(drain, "4 seconds"), () => "not in time" as const),
            Effect.catchAllCause((cause) =>
              Effect.logWarning("a session was not left as it should be", { id, cause }),
            ),
          ),
      )

      yield* Effect.addFinalizer(() =>
        Effect.forEach([...sessions.keys()], leave, { concurrency: 8, discard: true }),
      )

      const tidy = Effect.gen(function* () {
        for (const [id, held] of sessions) {
          held.operations.tidy()
          const isIdle = () =>
            isResting(held) &&
            performance.now() - held.usedAt > (held.sandbox.isUnused() ? idleMs : hibernateMs)
          if (isIdle()) yield* held.sandbox.hibernate(isIdle)
          if (!held.active && isResting(held) && !held.sandbox.exists()) sessions.delete(id)
        }
      })
      if (mode === "interval") {
        yield* Effect.suspend(() =>
          Effect.forEach(
            [...sessions.values()],
            ({ files, sandbox }) => {
              const live = sandbox.current()
              return live !== undefined && files.isUnsaved() ? files.save(live) : Effect.void
            },
            { concurrency: 4, discard: true },
          ),
        ).pipe(Effect.repeat(Schedule.spaced(yield* settings.checkpointInterval.config)), Effect.forkScoped)
      }
      yield* tidy.pipe(
        Effect.repeat(Schedule.spaced(Math.min(idleMs / 2, hibernateMs / 2, 10_000))),
        Effect.forkScoped,
      )

      return {
        claim: Effect.fn("HeldSessions.claim")(function* (id) {
          const held = sessions.get(id) ?? hold(id)
          sessions.set(id, held)
          held.active = true
          const term = lease.term()
          const claim = yield* rows
            .claim(
              id,
              { epoch: held.claim.current.epoch, container: held.sandbox.container() },
              held.operations.running(),
            )
            .pipe(Effect.onError(() => Effect.sync(() => (held.active = false))))
          if (!claim.continued) yield* end(held)
          held.claim.current = claim
          held.term = term
          held.sandbox.current()?.hold(term)
          return held.operations
        }, Effect.uninterruptible),
        isOutdated: (id) => lease.term() !== undefined && sessions.get(id)?.term !== lease.term(),
        rest: (id, isOwned) =>
          Effect.sync(() => {
            const held = sessions.get(id)
            if (held === undefined) return
            held.active = false
            if (!isOwned) held.sandbox.current()?.hold(undefined)
          }),
        sandbox: (id) => sessions.get(id)?.sandbox.current(),
        release,
        leave,
        settle: Effect.gen(function* () {
          isLeaving = true
          const all = [...sessions.values()]
          const running = all.map(({ operations }) => [operations, operations.running()] as const)
          const overdue = Effect.forEach(running, ([operations, ids]) => operations.interrupt(ids), {
            concurrency: "unbounded",
          })
          yield* Effect.zip(Effect.zipRight(ended(all), overdue), Effect.sleep(delay), { concurrent: true })
        }),
        isLeaving: () => isLeaving,
      }
    }),
  )
}
