import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { Channel, window } from "../../src/agent/Channel.ts"
import type { CommandSpec } from "../../src/domain/Command.ts"
import type { AgentLink } from "../../src/sandbox/AgentLink.ts"
import * as Commands from "../../src/sandbox/Commands.ts"
import { ended, line } from "../support/FakeLine.ts"

const spec: CommandSpec = {
  argv: ["sleep", "1000"],
  cwd: "/workspace",
  env: {},
  stdin: "open",
  tty: false,
  timeoutMs: 1_000_000,
}

/** A command that reads only what a test acknowledges. */
const command = Effect.fnUntraced(function* (stdin: CommandSpec["stdin"] = "open") {
  const channels: Array<Channel> = []
  /** Closed channels, and whether the agent hears of that at once. */
  const closed: Array<readonly [number, boolean]> = []
  let news: Parameters<AgentLink["follow"]>[1] = () => {}
  const link: Pick<AgentLink, "ask" | "follow" | "giveUp" | "open" | "send" | "unfollow"> = {
    ask: () => Effect.succeed({ value: true }),
    follow: (_, told) => (news = told),
    giveUp: () => assert.fail("no part of this test"),
    open: (handler) => {
      const id = channels.length + 1
      const channel = new Channel(id, handler, {
        ...line,
        close: (isUrgent) => closed.push([id, isUrgent]),
      })
      channels.push(channel)
      return channel
    },
    send: () => Effect.void,
    unfollow: () => {},
  }
  const commands = yield* Commands.make(link as AgentLink, { output: 1000, totalOutput: 1000 })
  const id = yield* commands.start({ ...spec, stdin })
  return {
    input: channels[0]!,
    write: (size: number) => commands.write(id, Buffer.alloc(size), false),
    /** The command ends; gives what is closed then. */
    end: Effect.gen(function* () {
      for (const channel of channels) channel.receiveEnd()
      news(ended)
      yield* commands.read(id, { stdout: 0, stderr: 0 }, Infinity, "end")
      yield* Effect.yieldNow().pipe(Effect.repeat({ until: () => closed.length === 2 }))
      return closed
    }),
  }
})

describe("A command that does not read its input", () => {
  it.scoped("is kept no more of it than a window and one write, however often somebody gives up", () =>
    Effect.gen(function* () {
      const { input, write } = yield* command()
      for (let count = 0; count < 5; count++) {
        const giving = yield* Effect.forkScoped(Effect.timeoutOption(write(2 * window), "1 seconds"))
        yield* TestClock.adjust("2 seconds")
        yield* giving
      }
      assert.strictEqual(input.written, 2 * window)
    }),
  )

  it.scoped("gets what comes later once it reads, in order", () =>
    Effect.gen(function* () {
      const { input, write } = yield* command()
      yield* Effect.forkScoped(write(2 * window))
      yield* Effect.yieldNow()
      yield* Effect.forkScoped(write(10))
      yield* Effect.yieldNow()
      assert.strictEqual(input.written, 2 * window)
      input.acknowledge(window)
      input.acknowledge(2 * window)
      yield* Effect.yieldNow().pipe(Effect.repeat({ until: () => input.written > 2 * window }))
      assert.strictEqual(input.written, 2 * window + 10)
    }),
  )
})

describe("A command that has ended", () => {
  it.scoped("has what it left running told at once that no input comes any more, where some could", () =>
    Effect.gen(function* () {
      const withInput = yield* command("open")
      assert.deepStrictEqual(yield* withInput.end, [
        [1, true],
        [2, false],
      ])
      const without = yield* command("none")
      assert.deepStrictEqual(yield* without.end, [
        [1, false],
        [2, false],
      ])
    }),
  )
})
