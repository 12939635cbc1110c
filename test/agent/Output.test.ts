import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeSync } from "node:fs"
import type { Channel } from "../../src/agent/Channel.ts"
import { Output } from "../../src/agent/commands/Output.ts"
import { PipeReader } from "../../src/agent/commands/PipeReader.ts"
import { Spill } from "../../src/agent/commands/Spill.ts"
import { close, pipe } from "../../src/agent/Kernel.ts"

describe("Output", () => {
  it.effect(
    "is read to what was written last, also where the agent had no turn for longer than it waits",
    () =>
      Effect.gen(function* () {
        const { read, write } = pipe()
        const shown: Array<string> = []
        const output = new Output(new Spill("x", Infinity))
        output.source = new PipeReader(read, output)
        output.channel = {
          write: (chunk: Uint8Array) => void shown.push(Buffer.from(chunk).toString()),
          end: () => {},
          waiting: 0,
        } as unknown as Channel
        const drained = output.drained(20)
        writeSync(write, "last words")
        for (const begin = performance.now(); performance.now() - begin < 100;);
        yield* Effect.promise(() => drained)
        close(write)
        assert.deepStrictEqual(shown, ["last words"])
      }),
  )
})
