import { assert, describe, it } from "@effect/vitest"
import { fstatSync, writeSync } from "node:fs"
import { setTimeout } from "node:timers/promises"
import { PipeReader } from "../../src/agent/commands/PipeReader.ts"
import { close, pipe } from "../../src/agent/Kernel.ts"

/** A pipe with its reader, and what that has read. */
const reading = () => {
  const { read, write } = pipe()
  const came: Array<string> = []
  const state = { closed: 0 }
  const reader = new PipeReader(read, {
    push: (chunk) => void came.push(chunk.toString()),
    close: () => void state.closed++,
  })
  return { read, write, reader, state, text: () => came.join("") }
}

describe("PipeReader", () => {
  it("has all of a command that ended at once, and its descriptor no more", () => {
    const { read, write, reader, state, text } = reading()
    const long = "x".repeat(60_000)
    writeSync(write, `${long}, the end`)
    close(write)
    reader.settle()
    assert.strictEqual(text(), `${long}, the end`)
    assert.strictEqual(state.closed, 1)
    assert.throws(() => fstatSync(read), /EBADF/)
  })

  it("goes on where something still holds the other end", async () => {
    const { write, reader, state, text } = reading()
    writeSync(write, "first, ")
    reader.settle()
    assert.strictEqual(text(), "first, ")
    assert.strictEqual(state.closed, 0)
    writeSync(write, "later, ")
    await setTimeout(50)
    writeSync(write, "last")
    close(write)
    await setTimeout(50)
    assert.strictEqual(text(), "first, later, last")
    assert.strictEqual(state.closed, 1)
  })

  it("follows a command that runs on, and waits while it is paused", async () => {
    const { write, reader, state, text } = reading()
    writeSync(write, "first, ")
    await setTimeout(50)
    assert.strictEqual(text(), "first, ")
    reader.pause()
    await setTimeout(50)
    writeSync(write, "held")
    await setTimeout(50)
    assert.notInclude(text(), "held")
    reader.resume()
    close(write)
    reader.settle()
    await setTimeout(50)
    assert.strictEqual(text(), "first, held")
    assert.strictEqual(state.closed, 1)
  })
})
