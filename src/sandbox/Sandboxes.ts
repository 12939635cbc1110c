/**
 * The sandboxes of this node. They belong to this service and not to the entities that use them, so that
 * a session which is activated again on the same node finds its own. All are removed when the node leaves.
 */
import { Clock, Context, Effect, Fiber, Layer, Option, Runtime } from "effect"
import type { ContainerId } from "../domain/Identity.ts"
import { Lease } from "../domain/Lease.ts"
import { NodeIdentity } from "../domain/NodeIdentity.ts"
import { Capacity, type SandboxError } from "../domain/SandboxError.ts"
import { Docker } from "./Docker.ts"
import { Limits } from "./Limits.ts"
import * as Pool from "./Pool.ts"
import * as RunningSandbox from "./RunningSandbox.ts"
import type { Sandbox } from "./Sandbox.ts"
import { type Template, Templates, totalMemory } from "./Templates.ts"
import { Tunnels } from "./tunnel/Tunnels.ts"

export class Sandboxes extends Context.Tag("codegen-mcp/sandbox/Sandboxes")<
  Sandboxes,
  {
    /**
     * A new, empty sandbox: one that waits in the template's pool, or else one that is started now. Fails with
     * `Capacity` where the node has no room for it.
     */
    readonly make: (template: Template) => Effect.Effect<Sandbox, SandboxError | Capacity>
    /** Whether this node still has the sandbox. */
    readonly holds: (id: ContainerId) => boolean
    /**
     * When `make` gave the sandbox away, in milliseconds since 1970; infinite before that, none where
     * there is no such.
     */
    readonly heldSince: (id: ContainerId) => number | undefined
    /** Kills the sandbox's commands and removes it. What the engine will not remove now, the reconciler does. */
    readonly remove: (id: ContainerId) => Effect.Effect<void>
    /** Of each template's pool, by name. */
    readonly pools: Effect.Effect<ReadonlyMap<string, Pool.PoolStatus>>
  }
>() {
  static readonly layer = Layer.scoped(
    Sandboxes,
    Effect.gen(function* () {
      const context = yield* Effect.context<Docker | Lease | Limits | NodeIdentity | Tunnels>()
      const run = Runtime.runFork(yield* Effect.runtime<never>())
      const lease = yield* Lease
      const limits = yield* Limits
      const templates = yield* Templates
      const sandboxes = new Map<ContainerId, RunningSandbox.RunningSandbox>()
      const launching = new Set<ContainerId>()
      let starting = 0
      let startingMemory = 0

      const remove = Effect.fn("Sandboxes.remove")(
        function* (id: ContainerId) {
          const gone = sandboxes.get(id)
          sandboxes.delete(id)
          yield* gone === undefined ? RunningSandbox.removeContainer(id) : gone.remove
        },
        Effect.uninterruptible,
        Effect.provide(context),
      )

      yield* Effect.addFinalizer(() =>
        Effect.forEach([...sandboxes.keys()], remove, { concurrency: 8, discard: true }),
      )

      /** What stands in the way of one more sandbox. */
      const full = (template: Template) => {
        const promised = [...sandboxes.values()].reduce(
          (sum, { template }) => sum + totalMemory(template),
          startingMemory,
        )
        if (sandboxes.size + starting >= limits.sandboxes) {
          return new Capacity({ what: "sandboxes", limit: limits.sandboxes, setting: "MAX_SANDBOXES" })
        }
        if (promised + totalMemory(template) > limits.totalMemory) {
          return new Capacity({ what: "bytes of memory", limit: limits.totalMemory, setting: "MAX_MEMORY" })
        }
        return undefined
      }

      const launchHere = Effect.fnUntraced(
        function* (template: Template) {
          const reason = full(template)
          if (reason !== undefined) return yield* reason
          starting++
          startingMemory += totalMemory(template)
          let id: ContainerId | undefined
          const made = yield* RunningSandbox.launch(template, (container) => {
            id = container
            launching.add(container)
          }).pipe(
            Effect.tap((made) => Effect.sync(() => sandboxes.set(made.sandbox.id, made))),
            Effect.ensuring(
              Effect.sync(() => {
                if (id !== undefined) launching.delete(id)
                starting--
                startingMemory -= totalMemory(template)
              }),
            ),
          )
          // Nothing can be saved from it: what it holds of the machine is free again at once.
          made.whenLost(() => run(remove(made.sandbox.id)))
          return made
        },
        Effect.uninterruptible,
        Effect.provide(context),
      )
      /** What belongs to a sandbox keeps nothing of the request that it was started for. */
      const launch = (template: Template) =>
        Effect.uninterruptible(Effect.suspend(() => Fiber.join(run(launchHere(template)))))

      const pools = new Map(
        yield* Effect.forEach(templates.all, (template) =>
          Effect.map(
            Pool.make({
              ...template.pool,
              launch: launch(template),
              isUsable: ({ sandbox }) => sandboxes.has(sandbox.id),
              answers: ({ answers }) => answers,
              drop: ({ sandbox }) => remove(sandbox.id),
              failed: (error) =>
                error._tag === "Capacity"
                  ? Effect.void
                  : Effect.logWarning(`no sandbox of ${template.name} could be kept ready`, error.message),
            }),
            (pool) => [template.name, pool] as const,
          ),
        ),
      )
      const takePooled: Effect.Effect<Option.Option<RunningSandbox.RunningSandbox>> = Effect.gen(
        function* () {
          for (const pool of pools.values()) {
            const spare = yield* pool.takeIfReady
            if (Option.isSome(spare)) return spare
          }
          return Option.none()
        },
      )

      /** Whether another sandbox's end would help. */
      const isCurable = ({ what }: Capacity, template: Template) =>
        what !== "bytes of disk" && totalMemory(template) <= limits.totalMemory

      /** Makes room for a sandbox that somebody waits for at the cost of those that nobody has asked for. */
      const launchWithRoom = (
        template: Template,
      ): Effect.Effect<RunningSandbox.RunningSandbox, SandboxError | Capacity> =>
        Effect.catchTag(launch(template), "Capacity", (error) => {
          if (!isCurable(error, template)) return Effect.fail(error)
          return Effect.flatMap(
            takePooled,
            Option.match({
              onNone: () => Effect.fail(error),
              // The place is free as the removal begins, and nobody else's.
              onSome: ({ sandbox }) =>
                Effect.zipRight(remove(sandbox.id), launchWithRoom(template), { concurrent: true }),
            }),
          )
        })

      return {
        make: Effect.fn("Sandboxes.make")(function* (template) {
          const pool = pools.get(template.name)
          const take = pool === undefined ? launch(template) : pool.take
          const taken = yield* Effect.catchTag(take, "Capacity", (error) =>
            isCurable(error, template) ? launchWithRoom(template) : Effect.fail(error),
          )
          taken.heldSince = yield* Clock.currentTimeMillis
          taken.sandbox.hold(lease.term())
          return taken.sandbox
        }, Effect.uninterruptible),
        holds: (id) => sandboxes.has(id),
        heldSince: (id) => (launching.has(id) ? Infinity : sandboxes.get(id)?.heldSince),
        remove,
        pools: Effect.sync(() => new Map([...pools].map(([name, pool]) => [name, pool.status()]))),
      }
    }),
  )
}
