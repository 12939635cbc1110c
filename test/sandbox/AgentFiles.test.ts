import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream, TestClock } from "effect"
import { Channel, window } from "../../src/agent/Channel.ts"
import type { FileOperation } from "../../src/agent/files/FileProtocol.ts"
import { ContainerId } from "../../src/domain/Identity.ts"
import { SandboxLost } from "../../src/domain/SandboxError.ts"
import * as AgentFiles from "../../src/sandbox/AgentFiles.ts"
import { line } from "../support/FakeLine.ts"

/** Files of an agent that answers what a test makes it say, and says on its channel what a test sends. */
const linked = (answer: (operation: FileOperation) => Effect.Effect<unknown>) => {
  const reasons: Array<string> = []
  const channels: Array<Channel> = []
  const mourners: Array<() => void> = []
  const files = AgentFiles.make({
    ask: (make) =>
      Effect.suspend(() => {
        const message = make(1)
        return Effect.map(message.type === "file" ? answer(message.request) : Effect.never, (value) => ({
          value,
        }))
      }),
    open: (handler) => {
      const channel = new Channel(1, handler, line)
      channels.push(channel)
      return channel
    },
    whenLost: (run) => void mourners.push(run),
    giveUp: (why) => {
      reasons.push(why)
      return new SandboxLost({ container: ContainerId.make("fake") })
    },
  })
  return { files, reasons, channels, lose: () => mourners.forEach((run) => run()) }
}

const silent = () => Effect.never

const entry = (path: string) => ({ path, kind: "file" as const, size: 1 })

describe("AgentFiles", () => {
  describe("gives up an agent that", () => {
    it.effect("stops in the middle of a file that is read", () =>
      Effect.gen(function* () {
        const { channels, files, reasons } = linked(silent)
        const reading = yield* Effect.fork(
          Effect.flip(Stream.runDrain(files.stream("/workspace/a", 0, 1000))),
        )
        yield* TestClock.adjust(1)
        channels[0]?.receive(Buffer.alloc(10))
        yield* TestClock.adjust("4 minutes")
        channels[0]?.receive(Buffer.alloc(10))
        yield* TestClock.adjust("4 minutes")
        assert.isEmpty(reasons)
        yield* TestClock.adjust("1 minutes")
        assert.instanceOf(yield* Fiber.join(reading), SandboxLost)
        assert.deepStrictEqual(reasons, ["it does not answer read"])
      }),
    )

    it.effect("stops in the middle of a file that is written", () =>
      Effect.gen(function* () {
        const { files, reasons } = linked(silent)
        const source = Stream.make(Buffer.alloc(window), Buffer.alloc(window))
        const writing = yield* Effect.fork(Effect.flip(files.writeStream("/workspace/a", 2 * window, source)))
        yield* TestClock.adjust("5 minutes")
        assert.instanceOf(yield* Fiber.join(writing), SandboxLost)
        assert.deepStrictEqual(reasons, ["it does not answer write"])
      }),
    )

    it.effect("has the whole file and never says that it is written", () =>
      Effect.gen(function* () {
        const { files } = linked(silent)
        const writing = yield* Effect.fork(
          Effect.flip(files.writeStream("/workspace/a", 1, Stream.make(Buffer.alloc(1)))),
        )
        yield* TestClock.adjust("5 minutes")
        assert.instanceOf(yield* Fiber.join(writing), SandboxLost)
      }),
    )

    const lies: ReadonlyArray<
      readonly [
        what: string,
        answer: unknown,
        ask: (files: ReturnType<typeof linked>["files"]) => Effect.Effect<unknown, unknown>,
      ]
    > = [
      [
        "lists more than was asked for",
        { entries: [entry("a"), entry("b")], truncated: true },
        (files) => files.list("/workspace", 1, 1),
      ],
      [
        "finds more than was asked for",
        { paths: ["a", "b"], truncated: true },
        (files) => files.glob("/workspace", "*", 1),
      ],
      [
        "finds more lines than were asked for",
        {
          files: [{ path: "a", lines: [1, 2].map((line) => ({ line, text: "x", match: true })) }],
          truncated: true,
          timedOut: false,
          skipped: 0,
        },
        (files) =>
          files.grep({
            path: "/workspace",
            pattern: "x",
            glob: null,
            literal: false,
            ignoreCase: false,
            context: 0,
            limit: 1,
            maxBytes: 1000,
          }),
      ],
      [
        "tells of more changes than were asked for",
        { paths: ["a", "b"], overflow: false, cursor: "1", more: false },
        (files) => files.changes("0", 1),
      ],
    ]
    for (const [what, answer, ask] of lies) {
      it.effect(what, () =>
        Effect.gen(function* () {
          const { files, reasons } = linked(() => Effect.succeed(answer))
          assert.instanceOf(yield* Effect.flip(ask(files)), SandboxLost)
          assert.lengthOf(reasons, 1)
        }),
      )
    }

    it.effect("says that it sent more than came", () =>
      Effect.gen(function* () {
        const { channels, files, reasons } = linked(() =>
          Effect.succeed({ size: 10, mode: 0o644, bytes: 10 }),
        )
        const reading = yield* Effect.fork(Effect.flip(files.read("/workspace/a", 0, 10)))
        yield* TestClock.adjust(1)
        channels[0]?.receive(Buffer.alloc(9))
        channels[0]?.receiveEnd()
        assert.instanceOf(yield* Fiber.join(reading), SandboxLost)
        assert.lengthOf(reasons, 1)
      }),
    )
  })

  it.effect("ends, with its sandbox, what was answered and lacks its last bytes, whoever waits for it", () =>
    Effect.gen(function* () {
      const { files, lose } = linked(() => Effect.succeed({}))
      const writing = yield* Effect.fork(
        Effect.uninterruptible(Effect.flip(files.write("/workspace/a", Buffer.alloc(1)))),
      )
      yield* TestClock.adjust(1)
      lose()
      assert.instanceOf(yield* Fiber.join(writing), SandboxLost)
    }),
  )

  it.effect("bears a reader and a source that stand still for hours", () =>
    Effect.gen(function* () {
      const { channels, files, reasons } = linked(({ op }) =>
        op === "read"
          ? Effect.succeed({ size: 20, mode: 0o644, bytes: 20 })
          : Effect.delay(Effect.succeed({}), "4 hours"),
      )
      const slowly = Stream.runForEach(files.stream("/workspace/a", 0, 20), () => Effect.sleep("2 hours"))
      const reading = yield* Effect.fork(slowly)
      yield* TestClock.adjust(1)
      for (let piece = 0; piece < 2; piece++) {
        channels[0]?.receive(Buffer.alloc(10))
        yield* TestClock.adjust("1 minutes")
      }
      channels[0]?.receiveEnd()
      yield* TestClock.adjust("5 hours")
      yield* Fiber.join(reading)

      const source = Stream.tap(Stream.make(Buffer.alloc(1), Buffer.alloc(1)), () => Effect.sleep("2 hours"))
      const writing = yield* Effect.fork(files.writeStream("/workspace/a", 2, source))
      yield* TestClock.adjust("4 hours")
      channels[1]?.receiveEnd()
      yield* Fiber.join(writing)
      assert.isEmpty(reasons)
    }),
  )
})
