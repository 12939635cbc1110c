/** One container with its agent, from its start to its removal. */
import { Effect, Exit, Scope } from "effect"
import type { ContainerId } from "../domain/Identity.ts"
import { SandboxError } from "../domain/SandboxError.ts"
import { Lease } from "../domain/Lease.ts"
import { Unavailable } from "../domain/SessionError.ts"
import { timeLimit } from "../domain/TimeLimit.ts"
import * as AgentFiles from "./AgentFiles.ts"
import * as AgentLink from "./AgentLink.ts"
import * as Commands from "./Commands.ts"
import * as Container from "./Container.ts"
import { Docker } from "./Docker.ts"
import { Limits } from "./Limits.ts"
import type { Sandbox } from "./Sandbox.ts"
import { Stillness } from "./Stillness.ts"
import type { Template } from "./Templates.ts"
import { Tenure } from "./Tenure.ts"
import { Tunnels } from "./tunnel/Tunnels.ts"

export interface RunningSandbox {
  readonly sandbox: Sandbox
  readonly template: Template
  /** Since when a session has it, in milliseconds since 1970; infinite while it waits for one. */
  heldSince: number
  /** Whether its agent answers within a second. */
  readonly answers: Effect.Effect<boolean>
  /** Calls `run` once it is lost, if it ever is. */
  readonly whenLost: (run: () => void) => void
  /** Ends its commands, and removes the container if the engine can. */
  readonly remove: Effect.Effect<void>
}

/** Starts a sandbox, and waits for its agent. `made` is called once the engine has its container. */
export const launch = Effect.fn("RunningSandbox.launch")(function* (
  template: Template,
  made: (id: ContainerId) => void,
) {
  const limits = yield* Limits
  const tenure = new Tenure(yield* Lease)
  const tunnels = yield* Tunnels
  const { id, env } = yield* Container.make(template)
  made(id)
  const scope = yield* Scope.make()
  const context = yield* Effect.context<Docker>()
  const remove = Effect.zipRight(Scope.close(scope, Exit.void), Effect.provide(removeContainer(id), context))
  return yield* Effect.gen(function* () {
    const link = yield* AgentLink.make(id)
    yield* Container.start(id)
    yield* Effect.catchTag(
      link.greet(env, Math.min(limits.spill, Math.floor(template.tmp / 2))),
      "SandboxLost",
      () => Effect.fail(new SandboxError({ operation: "start", cause: link.reason() })),
    )
    const stillness = new Stillness()
    const commands = yield* Commands.make(link, limits, stillness)
    const sandbox: Sandbox = {
      id,
      ...commands,
      start: (spec) =>
        Effect.if(Effect.sync(tenure.isHeld), {
          onTrue: () => commands.start(spec),
          onFalse: () => new Unavailable({ what: "Postgres" }),
        }),
      files: AgentFiles.make(link, stillness),
      network: yield* tunnels.open(link, tenure),
      hold: (term) => tenure.hold(term),
    }
    return {
      sandbox,
      template,
      heldSince: Infinity,
      answers: link
        .ask((id) => ({ type: "ping", id }))
        .pipe(
          timeLimit(
            "1 seconds",
            () => new SandboxError({ operation: "attach", cause: "the agent is silent" }),
          ),
          Effect.isSuccess,
        ),
      whenLost: link.whenLost,
      remove,
    } satisfies RunningSandbox
  }).pipe(
    Scope.extend(scope),
    Effect.onError(() => remove),
  )
}, Effect.scoped)

/** Removes a container; one that the engine will not remove now is left to the reconciler. */
export const removeContainer = (id: ContainerId) =>
  Effect.catchAll(Container.remove(id), (error) =>
    Effect.logWarning("a sandbox could not be removed yet", error.message),
  )
