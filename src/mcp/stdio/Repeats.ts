/**
 * Which calls of a client repeat one that is under way: they get its operation id, and so join it. Any client's under the
 * same id do. PromptKit also sends a call again under other ids, up to three times, where it had no answer in its own
 * time, or an error of JSON-RPC; equal calls of one reply of a model come together, so that what follows its like within
 * a second is no repeat.
 */
import { Effect, Schema } from "effect"
import { createHash } from "node:crypto"
import { randomId } from "../../domain/Identity.ts"
import { milliseconds } from "../../domain/Monotonic.ts"

export interface Repeats {
  /** Whether the client is one that repeats what was answered with an error. */
  readonly expected: () => boolean
  /** Learns from `initialize` who the client is. */
  readonly meet: (params: unknown) => void
  /** The operation that a call is, or repeats. */
  readonly operationOf: (id: string | number, call: string) => Effect.Effect<string>
  /** An operation was answered. */
  readonly end: (operation: string) => void
}

export const make = (): Repeats => {
  let expected = false
  const running = new Map<
    string,
    { readonly id: string | number; readonly call: string; readonly since: number }
  >()
  return {
    expected: () => expected,
    meet: (params) => void (expected = isPromptKit(params)),
    operationOf: (id, given) =>
      Effect.gen(function* () {
        const fresh = yield* randomId("o_")
        const call = createHash("sha256").update(given).digest("hex")
        const now = yield* milliseconds
        for (const [operation, first] of running) {
          const isLate = expected && now - first.since > together
          if (first.call === call && (first.id === id || isLate)) return operation
        }
        running.set(fresh, { id, call, since: now })
        return fresh
      }),
    end: (operation) => void running.delete(operation),
  }
}

/** In milliseconds. */
const together = 1000

const isPromptKit = Schema.is(
  Schema.Struct({ clientInfo: Schema.Struct({ name: Schema.Literal("promptkit") }) }),
)
