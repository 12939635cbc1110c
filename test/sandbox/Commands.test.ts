import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope, TestClock } from "effect"
import { Channel } from "../../src/agent/Channel.ts"
import { ContainerId } from "../../src/domain/Identity.ts"
import type { AgentLink } from "../../src/sandbox/AgentLink.ts"
import * as Commands from "../../src/sandbox/Commands.ts"
import { line } from "../support/FakeLine.ts"

/** The link to an agent that never answers. */
const silent: Pick<AgentLink, "ask" | "container" | "follow" | "giveUp" | "open" | "send" | "unfollow"> = {
  container: ContainerId.make("silent"),
  ask: () => Effect.never,
  follow: () => {},
  giveUp: () => assert.fail("the test has no such"),
  open: (handler) => new Channel(1, handler, line),
  send: () => Effect.void,
  unfollow: () => {},
}

describe("Commands", () => {
  it.effect("tell a reader of the sandbox's end, also while a command is being killed", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const commands = yield* Scope.extend(
        Commands.make(silent as AgentLink, { output: 1000, totalOutput: 1000 }),
        scope,
      )
      const id = yield* commands.start({
        argv: ["sleep", "1000"],
        cwd: "/workspace",
        env: {},
        stdin: "none",
        tty: false,
        timeoutMs: 600_000,
      })
      const reading = yield* Effect.fork(
        Effect.flip(commands.read(id, { stdout: 0, stderr: 0 }, 60_000, "end")),
      )
      const cancelling = yield* Effect.fork(Effect.flip(commands.cancel(id)))
      yield* TestClock.adjust("1 seconds")
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Fiber.join(reading))._tag, "SandboxLost")
      assert.strictEqual((yield* Fiber.join(cancelling))._tag, "SandboxLost")
    }),
  )
})
