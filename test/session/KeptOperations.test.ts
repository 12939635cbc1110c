import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { ConnectionId, NodeId, OperationId, SessionId } from "../../src/domain/Identity.ts"
import * as Operations from "../../src/session/Operations.ts"
import { standard } from "../../src/tools/Registry.ts"
import { SessionCommands } from "../../src/tools/commands/SessionCommands.ts"
import * as FakeSandbox from "../support/FakeSandbox.ts"
import * as MemoryRows from "../support/MemoryRows.ts"
import * as NoFiles from "../support/NoFiles.ts"

const connection = ConnectionId.make(`c_${"0".repeat(32)}`)

const MiB = 1024 * 1024

describe("Operations that have ended", () => {
  it.live("are kept within a bound of memory, the last ones of them", () =>
    Effect.gen(function* () {
      const data = Buffer.alloc(3 * MiB)
      const sandbox = FakeSandbox.make({
        files: { read: () => Effect.succeed({ data, size: data.length, mode: 0o644, bytes: data.length }) },
      })
      const operations = Operations.make({
        session: SessionId.make(`s_${"1".repeat(32)}`),
        claim: { current: MemoryRows.claim },
        rows: MemoryRows.make().rows,
        files: NoFiles.make(),
        sandbox: () => undefined,
        commands: new SessionCommands(),
        callOf: () =>
          Effect.succeed({
            ...FakeSandbox.call(Effect.succeed(sandbox)),
            limits: { ...FakeSandbox.limits, file: 4 * MiB },
          }),
        find: standard.find,
        patience: Duration.minutes(1),
        expiry: Duration.seconds(15),
        isReached: () => true,
        onLost: () => Effect.void,
      })
      const ids = Array.from({ length: 8 }, (_, index) => OperationId.make(`a${index}`))
      for (const id of ids) {
        yield* operations.begin({
          id,
          tool: "resource_content",
          input: { path: "a" },
          edgeNode: NodeId.make("edge"),
          origin: { connection, request: id },
        })
        yield* operations.page(id, undefined, 5000)
      }
      const kept = yield* Effect.forEach(ids, (id) => Effect.isSuccess(operations.page(id, undefined, 0)))
      assert.deepStrictEqual(kept, [false, false, false, false, true, true, true, true])
    }),
  )
})
