import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Schema } from "effect"
import { NodeId, OperationId, SessionId } from "../../src/domain/Identity.ts"
import * as Operations from "../../src/session/Operations.ts"
import { SessionCommands } from "../../src/tools/commands/SessionCommands.ts"
import { CheckpointState, ownerTool } from "../../src/tools/Tool.ts"
import * as FakeSandbox from "../support/FakeSandbox.ts"
import * as MemoryRows from "../support/MemoryRows.ts"
import * as NoFiles from "../support/NoFiles.ts"

const image = { type: "image", data: "AAAA", mimeType: "image/png" } as const

/** Shows an image, and knows nothing of its files yet. */
const draw = ownerTool({
  name: "draw",
  title: "",
  description: "",
  input: Schema.Struct({}),
  output: Schema.Struct({ path: Schema.String, checkpoint: CheckpointState }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  changes: true,
  handler: (_, { show }) =>
    Effect.sync(() => {
      show(image)
      return { path: "a.png", checkpoint: { state: "pending" as const } }
    }),
})

describe("Operations that show something", () => {
  it.live("say the same as text and as output, also of how it stands with their files", () =>
    Effect.gen(function* () {
      const saved = { state: "saved", id: "7" } as const
      const operations = Operations.make({
        session: SessionId.make(`s_${"1".repeat(32)}`),
        claim: { current: MemoryRows.claim },
        rows: MemoryRows.make().rows,
        files: { ...NoFiles.make(), end: (_, { finish }) => Effect.as(finish(saved), saved) },
        sandbox: () => undefined,
        commands: new SessionCommands(),
        callOf: () => Effect.succeed(FakeSandbox.call(Effect.dieMessage("no sandbox is needed"))),
        find: () => draw,
        patience: Duration.minutes(1),
        expiry: Duration.seconds(15),
        isReached: () => true,
        onLost: () => Effect.void,
      })
      const id = OperationId.make("a")
      yield* operations.begin({ id, tool: "draw", input: {}, edgeNode: NodeId.make("edge") })
      const { reply } = yield* operations.page(id, undefined, 5000)
      const output = { path: "a.png", checkpoint: saved }
      assert.deepEqual(reply, {
        _tag: "Answered",
        state: "succeeded",
        output,
        content: [{ type: "text", text: JSON.stringify(output) }, image],
      })
    }),
  )
})
