import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Stream } from "effect"
import * as ServerEvents from "../../../src/mcp/stdio/ServerEvents.ts"

describe("ServerEvents", () => {
  it.effect("reads events however their bytes come, and passes comments and what is cut off over", () =>
    Effect.gen(function* () {
      const text = `: hi\n\nid: o.0\nretry: 500\ndata: \n\nid: o.1\r\ndata: {"é":\r\ndata:1}\r\n\r\nid: o.2\ndata: cut`
      const bytes = Stream.fromIterable(
        [...new TextEncoder().encode(text)].map((byte) => Uint8Array.of(byte)),
      )
      assert.deepStrictEqual(Chunk.toArray(yield* Stream.runCollect(ServerEvents.read(bytes))), [
        { id: "o.0", data: "" },
        { id: "o.1", data: `{"é":\n1}` },
      ])
    }),
  )
})
