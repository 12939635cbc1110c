/**
 * How much of one principal this node works on at once. Each node counts for itself, so that nothing is asked of
 * Postgres; what a principal may have in the whole cluster is counted there (MAX_CONNECTIONS, MAX_SESSIONS).
 */
import { Effect, Exit, Scope } from "effect"
import type { Principal } from "../domain/Identity.ts"
import { settings } from "../Settings.ts"
import { Counts } from "./Counts.ts"
import { type Refusal, refuse } from "./Refusal.ts"

/** Counts one until the scope closes; refuses it, with 429, where the principal has as many as it may. */
type Admit = (principal: Principal) => Effect.Effect<void, Refusal, Scope.Scope>

export interface Admission {
  readonly request: Admit
  readonly stream: Admit
  /** Of files: few at a time, for each brings as much as a file may be before it counts as one. */
  readonly upload: Admit
  /** Does what outlives its request, counted as another one until it ends. */
  readonly detached: (principal: Principal, work: Effect.Effect<void>) => Effect.Effect<void, Refusal>
}

/** With MAX_REQUESTS and MAX_STREAMS. */
export const make = Effect.gen(function* () {
  const requests = yield* settings.maxRequests.config
  const streams = yield* settings.maxStreams.config
  const request = atMost(
    requests,
    `This node works on ${requests} requests of yours, which is the limit (MAX_REQUESTS). Wait for an answer, then send this again.`,
  )
  return {
    request,
    stream: atMost(
      streams,
      `You have ${streams} streams open at this node, which is the limit (MAX_STREAMS). Close one, then open this again.`,
    ),
    upload: atMost(
      maxUploads,
      `You send ${maxUploads} uploads to this node, which is the limit. Wait for the end of one, then send this again.`,
    ),
    detached: Effect.fnUntraced(function* (principal, work) {
      const scope = yield* Scope.make()
      yield* Scope.extend(request(principal), scope)
      yield* Effect.forkDaemon(Effect.ensuring(Effect.interruptible(work), Scope.close(scope, Exit.void)))
    }, Effect.uninterruptible),
  } satisfies Admission
})

/** Of one principal at one node, at a time. */
const maxUploads = 4

const atMost = (limit: number, message: string): Admit => {
  const counts = new Counts<Principal>()
  return (principal) =>
    Effect.flatMap(counts.hold(principal, limit), (isHeld) =>
      isHeld ? Effect.void : refuse(429, -32000, message, { "retry-after": "1" }),
    )
}
