/**
 * The sandboxes of this node. They belong to this service and not to the entities that use them, so that
 * a session which is activated again on the same node finds its own. All are removed when the node leaves.
 */
import { Context, Effect, Exit, Layer, Scope } from "effect"
import type { ContainerId } from "../domain/Identity.ts"
import { NodeIdentity } from "../domain/NodeIdentity.ts"
import { Capacity, type SandboxError } from "../domain/SandboxError.ts"
import * as Container from "./Container.ts"
import { Docker } from "./Docker.ts"
import * as ExecCommands from "./ExecCommands.ts"
import * as ExecFiles from "./ExecFiles.ts"
import { Limits } from "./Limits.ts"
import type { Sandbox } from "./Sandbox.ts"

interface Held {
  readonly sandbox: Sandbox
  readonly scope: Scope.CloseableScope
}

export class Sandboxes extends Context.Tag("codegen-mcp/sandbox/Sandboxes")<
  Sandboxes,
  {
    /** Starts a new, empty sandbox. Fails with `Capacity` where the node holds as many as it may. */
    readonly make: Effect.Effect<Sandbox, SandboxError | Capacity>
    /** Whether this node still holds the sandbox. */
    readonly holds: (id: ContainerId) => boolean
    /** Kills the sandbox's commands and removes it. What the engine will not remove now, the reconciler does. */
    readonly remove: (id: ContainerId) => Effect.Effect<void>
  }
>() {
  static readonly layer = Layer.scoped(
    Sandboxes,
    Effect.gen(function* () {
      const context = yield* Effect.context<Docker | Limits | NodeIdentity>()
      const limits = yield* Limits
      const sandboxes = new Map<ContainerId, Held>()
      let starting = 0

      const remove = Effect.fn("Sandboxes.remove")(
        function* (id: ContainerId) {
          const held = sandboxes.get(id)
          sandboxes.delete(id)
          if (held !== undefined) yield* Scope.close(held.scope, Exit.void)
          yield* Container.remove(id).pipe(
            Effect.catchAll((error) =>
              Effect.logWarning("a sandbox could not be removed yet", error.message),
            ),
          )
        },
        Effect.uninterruptible,
        Effect.provide(context),
      )

      const make = Effect.gen(function* () {
        const id = yield* Container.start
        const scope = yield* Scope.make()
        const { run, ...commands } = yield* ExecCommands.make(id).pipe(Scope.extend(scope))
        const sandbox: Sandbox = { id, ...commands, files: ExecFiles.make(run) }
        sandboxes.set(id, { sandbox, scope })
        return sandbox
      }).pipe(Effect.uninterruptible, Effect.provide(context), Effect.withSpan("Sandboxes.make"))

      yield* Effect.addFinalizer(() =>
        Effect.forEach([...sandboxes.keys()], remove, { concurrency: 8, discard: true }),
      )

      return {
        make: Effect.suspend((): Effect.Effect<Sandbox, SandboxError | Capacity> => {
          if (sandboxes.size + starting >= limits.sandboxes) {
            return Effect.fail(new Capacity({ limit: limits.sandboxes }))
          }
          starting++
          return Effect.ensuring(
            make,
            Effect.sync(() => starting--),
          )
        }),
        holds: (id) => sandboxes.has(id),
        remove,
      }
    }),
  )
}
