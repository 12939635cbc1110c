/** The owner of one session in this process: its operations as they are, without a cluster, a database or an engine. */
import { Duration, Effect } from "effect"
import type { SessionId } from "../../src/domain/Identity.ts"
import { clientOf } from "../../src/session/OperationClient.ts"
import * as Operations from "../../src/session/Operations.ts"
import type { Sessions } from "../../src/session/Sessions.ts"
import type { Sandbox } from "../../src/sandbox/Sandbox.ts"
import type { Registry } from "../../src/tools/Registry.ts"
import * as FakeSandbox from "./FakeSandbox.ts"
import * as MemoryRows from "./MemoryRows.ts"
import * as NoFiles from "./NoFiles.ts"

export const make = (session: SessionId, registry: Registry["Type"], sandbox: Sandbox) => {
  const { rows } = MemoryRows.make()
  const call = FakeSandbox.call(Effect.succeed(sandbox))
  const operations: Operations.Operations = Operations.make({
    session,
    claim: { current: MemoryRows.claim },
    rows,
    files: NoFiles.make(),
    sandbox: () => sandbox,
    commands: call.commands,
    callOf: (_, operation) => Effect.succeed({ ...call, ...clientOf(operations, operation) }),
    find: registry.find,
    patience: Duration.seconds(2),
    expiry: Duration.seconds(15),
    isReached: () => true,
    onLost: () => Effect.void,
  })
  const owner: Pick<Sessions["Type"], "call" | "resume" | "cancel" | "answer"> = {
    call: Effect.fnUntraced(function* (_, operation, listener) {
      yield* operations.begin(operation)
      for (let after = 0; ;) {
        const { events, reply } = yield* operations.page(operation.id, after, 1000)
        for (const event of events) {
          yield* listener?.(event, operation.origin) ?? Effect.void
          after = event.seq
        }
        if (reply !== undefined) return reply
      }
    }),
    resume: Effect.fnUntraced(function* (_, { connection, operation, as, ...request }, listener) {
      for (let { after } = request; ;) {
        const page = yield* operations.resume(connection, operation, after, 1000, as)
        if (page?.origin === undefined) return undefined
        for (const event of page.events) {
          yield* listener(event, page.origin)
          after = event.seq
        }
        if (page.reply !== undefined) return { reply: page.reply, origin: page.origin }
      }
    }),
    cancel: (_, connection, request) => Effect.asVoid(operations.cancel(connection, request)),
    answer: (_, connection, { operation, question }, reply) =>
      Effect.sync(() => operations.answer(connection, operation, question, reply)),
  }
  return { operations, owner }
}
