/** What ends a sandbox ends no other, and whoever waits for it hears of it at once. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Sandboxes } from "../../src/sandbox/Sandboxes.ts"
import { fresh, line, output, run, SharedSandbox, shows, start } from "../support/SharedSandbox.ts"

describe("A program that may end its sandbox", () => {
  for (const [what, attack] of [
    ["kills process 1", "kill -9 1; kill -TERM 1; kill -SEGV 1"],
    ["stops process 1 and kills it", "kill -STOP 1; kill -9 1"],
    ["kills all that is named like the agent", "pkill -9 -f agent; pkill -9 node"],
    ["writes among what its agent says", "head -c 5M /dev/urandom > /proc/1/fd/1"],
    ["takes what its agent is told", "timeout 2 cat < /proc/1/fd/0"],
    ["takes all memory", "python3 -c 'x = bytearray(2_000_000_000)'"],
    [
      "takes all memory in many processes",
      "for i in $(seq 20); do head -c 60M /dev/zero | tail & done; wait",
    ],
    ["forks without end", "f() { f | f & }; f; sleep 2"],
    [
      "asks for too many threads",
      "python3 -c 'import threading as t\nwhile 1: t.Thread(target=t.Event().wait).start()'",
    ],
  ] as const) {
    it.live(`and ${what} costs its own at most, and nothing hangs`, () =>
      Effect.gen(function* () {
        const neighbour = yield* SharedSandbox
        const { remove } = yield* Sandboxes
        const sandbox = yield* fresh
        const id = yield* sandbox.start(line("echo up; sleep 40"))
        yield* shows(sandbox, id, "up")
        const waiting = yield* Effect.fork(Effect.either(sandbox.read(id, start, 50_000, "end")))
        yield* Effect.either(run(sandbox, line(attack, { timeoutMs: 4000 })))
        const after = yield* Effect.either(
          Effect.timeout(run(sandbox, line("echo on", { timeoutMs: 10_000 })), "25 seconds"),
        )
        if (after._tag === "Left") {
          assert.strictEqual(after.left._tag, "SandboxLost")
          const heard = yield* Effect.timeout(Fiber.join(waiting), "2 seconds")
          assert.isTrue(heard._tag === "Left" && heard.left._tag === "SandboxLost")
        } else {
          assert.strictEqual(after.right.out, "on\n")
        }
        yield* Fiber.interrupt(waiting)
        assert.strictEqual(yield* output(neighbour, "echo unharmed"), "unharmed\n")
        yield* remove(sandbox.id)
      }).pipe(Effect.provide(SharedSandbox.layerOf({ SANDBOX_PIDS: "100" }))),
    )
  }
})
