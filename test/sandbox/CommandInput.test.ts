import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { Channel, window } from "../../src/agent/Channel.ts"
import type { CommandSpec } from "../../src/domain/Command.ts"
import type { AgentLink } from "../../src/sandbox/AgentLink.ts"
import * as Commands from "../../src/sandbox/Commands.ts"

const spec: CommandSpec = {
  argv: ["sleep", "1000"],
  cwd: "/workspace",
  env: {},
  stdin: "open",
  tty: false,
  timeoutMs: 1_000_000,
}

/** A command that reads only what a test acknowledges. */
const command = Effect.gen(function* () {
  const channels: Array<Channel> = []
  const link: Pick<AgentLink, "ask" | "follow" | "giveUp" | "open" | "send" | "unfollow"> = {
    ask: () => Effect.succeed({ value: true }),
    follow: () => {},
    giveUp: () => assert.fail("no part of this test"),
    open: (handler) => {
      const line = { send: () => {}, close: () => {}, maySend: () => true, closed: () => {} }
      const channel = new Channel(channels.length + 1, handler, line)
      channels.push(channel)
      return channel
    },
    send: () => Effect.void,
    unfollow: () => {},
  }
  const commands = yield* Commands.make(link as AgentLink, { output: 1000, totalOutput: 1000 })
  const id = yield* commands.start(spec)
  return { input: channels[0]!, write: (size: number) => commands.write(id, Buffer.alloc(size), false) }
})

describe("A command that does not read its input", () => {
  it.scoped("is kept no more of it than a window and one write, however often somebody gives up", () =>
    Effect.gen(function* () {
      const { input, write } = yield* command
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
      const { input, write } = yield* command
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
