import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Logger, LogLevel, Schedule } from "effect"
import type { Channel } from "../../src/agent/Channel.ts"
import { Kind, maxPayload, version } from "../../src/agent/Frame.ts"
import { ContainerId } from "../../src/domain/Identity.ts"
import { SandboxLost } from "../../src/domain/SandboxError.ts"
import * as AgentLink from "../../src/sandbox/AgentLink.ts"
import { FakeEngine } from "../support/FakeEngine.ts"
import { lost } from "../support/LostLink.ts"
import { until } from "../support/Until.ts"
import { ended } from "../support/FakeLine.ts"

const patient = { pause: 50, silence: 100, breaks: 5 }

/** A link to an agent of a test's own. */
const linked = (patience: Parameters<typeof AgentLink.make>[1] = patient) =>
  Effect.gen(function* () {
    const engine = new FakeEngine()
    const link = yield* AgentLink.make(ContainerId.make("fake"), patience).pipe(
      Effect.provide([engine.layer, Logger.minimumLogLevel(LogLevel.None)]),
    )
    return { engine, link }
  })

const ping = (id: number) => ({ type: "ping", id }) as const

const json = (message: unknown) => {
  const body = Buffer.from(JSON.stringify(message))
  const size = Buffer.alloc(4)
  size.writeUInt32BE(body.length)
  return Buffer.concat([size, body])
}

const number = (value: number) => {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleBE(value)
  return bytes
}

/** What costs an agent its sandbox, when it says so. */
const lies: ReadonlyArray<readonly [what: string, tell: (engine: FakeEngine, channel: Channel) => void]> = [
  ["says what is no frame", (engine) => engine.says(Buffer.alloc(100, 0xaa))],
  ["sends a frame that is too large", (engine) => engine.says(Buffer.from([0, 1, 0, 1, 1, 0, 0, 0, 1]))],
  ["sends a frame of an unknown kind", (engine) => engine.frame(9 as Kind, 1)],
  [
    "writes past a window",
    (engine, { id }) => {
      for (let count = 0; count < 20; count++) engine.frame(Kind.data, id, Buffer.alloc(maxPayload))
    },
  ],
  [
    "writes after the end",
    (engine, { id }) => {
      engine.frame(Kind.end, id)
      engine.frame(Kind.data, id, Buffer.alloc(1))
    },
  ],
  ["acknowledges more than it was sent", (engine, { id }) => engine.frame(Kind.acknowledge, id, number(1e9))],
  [
    "says for ever what nobody asked for",
    (engine) => {
      for (let id = 1000; id < 1100; id++) engine.frame(Kind.data, 0, json({ type: "answer", id }))
    },
  ],
  ["resumes twice", (engine) => engine.frame(Kind.resync, 0, Buffer.from("[]"))],
  [
    "never ends its resync",
    (engine) => {
      for (let count = 0; count < 100; count++) engine.frame(Kind.resync, 1, Buffer.from(" "))
    },
  ],
  ["ends the messages", (engine) => engine.frame(Kind.end, 0)],
  [
    "sends a message that is no JSON",
    (engine) => engine.frame(Kind.data, 0, Buffer.from([0, 0, 0, 2, 91, 91])),
  ],
  ["sends a message that is too large", (engine) => engine.frame(Kind.data, 0, Buffer.from([127, 0, 0, 0]))],
  ...(
    [
      null,
      [],
      "ready",
      { type: "reboot" },
      { type: "ready", version: "1" },
      { type: "ready", version: version + 1 },
      { type: "answer" },
      { type: "answer", id: -1 },
      { type: "answer", id: 1, failure: "bored" },
      { type: "notStarted", command: 1, reason: "x".repeat(5000) },
      { type: "ended", command: 1 },
      { ...ended, cpuMs: -5 },
      { ...ended, signal: "SIG".repeat(99) },
      { ...ended, limits: ["patience"] },
      { ...ended, limits: Array.from({ length: 9 }, () => "memory") },
      { ...ended, still: "x".repeat(193) },
    ] as const
  ).map(
    (message) =>
      [
        `sends the message ${JSON.stringify(message).slice(0, 60)}`,
        (engine: FakeEngine) => engine.frame(Kind.data, 0, json(message)),
      ] as const,
  ),
]

describe("AgentLink", () => {
  describe("loses the sandbox, quickly, of an agent that", () => {
    for (const [what, tell] of lies) {
      it.scopedLive(what, () =>
        Effect.gen(function* () {
          const { engine, link } = yield* linked()
          yield* link.greet({}, 1000)
          const heard = yield* Deferred.make<unknown>()
          link.follow(1, (news) => Deferred.unsafeDone(heard, Effect.succeed(news)))
          const channel = link.open({ data: () => {}, end: () => {} })
          engine.onMessage = () => true
          const asking = yield* Effect.fork(Effect.flip(link.ask(ping)))
          yield* Effect.yieldNow()
          tell(engine, channel)
          const [took] = yield* Effect.timed(lost(link))
          assert.isBelow(Duration.toMillis(took), 1000)
          assert.instanceOf(yield* Fiber.join(asking), SandboxLost)
          assert.instanceOf(yield* Deferred.await(heard), SandboxLost)
          assert.instanceOf(yield* Effect.flip(link.ask(ping)), SandboxLost)
          assert.instanceOf(yield* Effect.flip(link.send({ type: "kill", id: 1, command: 1 })), SandboxLost)
          assert.isNotEmpty(link.reason())
          assert.isAtMost(link.reason().length, 1000)
          assert.strictEqual(engine.attached, 1)
        }),
      )
    }

    it.scopedLive("has another version, and says so before anything is asked of it", () =>
      Effect.gen(function* () {
        const { engine, link } = yield* linked()
        engine.onMessage = ({ type }) => {
          if (type === "hello") engine.agent.send({ type: "ready", version: version + 1 })
          return true
        }
        assert.instanceOf(yield* Effect.flip(link.greet({}, 1)), SandboxLost)
        assert.include(link.reason(), "version")
      }),
    )

    it.scopedLive("falls silent, and ends its container", () =>
      Effect.gen(function* () {
        const { engine, link } = yield* linked({ ...patient, pause: 20, silence: 5 })
        yield* link.greet({}, 1)
        engine.onMessage = () => true
        const asking = yield* Effect.fork(Effect.flip(link.ask(ping)))
        yield* lost(link)
        assert.instanceOf(yield* Fiber.join(asking), SandboxLost)
        assert.include(link.reason(), "silent")
        yield* until(
          Effect.sync(() => engine.killed),
          (killed) => killed === 1,
        )
      }),
    )

    it.scopedLive("answers its pings and nothing else, unless others hold it up", () =>
      Effect.gen(function* () {
        const { engine, link } = yield* linked({ ...patient, pause: 20, debt: 5 })
        yield* link.greet({}, 1)
        engine.onMessage = ({ type }) => type === "kill"
        const kill = (id: number) => ({ type: "kill", id, command: 1 }) as const
        const heldUp = yield* Effect.fork(Effect.flip(link.ask(kill, { isHeldUp: true })))
        yield* Effect.sleep(500)
        assert.strictEqual(link.reason(), "")
        assert.instanceOf(yield* Effect.flip(link.ask(kill)), SandboxLost)
        assert.include(link.reason(), "owes")
        assert.instanceOf(yield* Fiber.join(heldUp), SandboxLost)
      }),
    )

    it.scopedLive("answers no new attachment", () =>
      Effect.gen(function* () {
        const { engine, link } = yield* linked({ ...patient, pause: 20, silence: 10 })
        yield* link.greet({}, 1)
        engine.isDeaf = true
        engine.detach()
        yield* lost(link)
        assert.include(link.reason(), "silent")
      }),
    )
  })

  it.scopedLive("loses the sandbox whose container has ended, and says how", () =>
    Effect.gen(function* () {
      const { engine, link } = yield* linked()
      yield* link.greet({}, 1)
      Object.assign(engine, { running: false, exitCode: 137 })
      engine.detach()
      const [took] = yield* Effect.timed(lost(link))
      assert.isBelow(Duration.toMillis(took), 1000)
      assert.include(link.reason(), "137")
    }),
  )

  it.scopedLive("loses the sandbox whose container is no more", () =>
    Effect.gen(function* () {
      const { engine, link } = yield* linked()
      yield* link.greet({}, 1)
      engine.failures.push({ statusCode: 404 })
      engine.detach()
      yield* lost(link)
      assert.strictEqual(engine.attached, 1)
    }),
  )

  it.scopedLive("attaches again when the engine ends the attachment, and asks nothing twice", () =>
    Effect.gen(function* () {
      const { engine, link } = yield* linked({ ...patient, pause: 60_000 })
      yield* link.greet({}, 1)
      const asked: Array<number> = []
      engine.onMessage = (message) => {
        if (message.type === "ping") asked.push(message.id)
        return false
      }
      const asking = yield* Effect.forEach([1, 2, 3], () => Effect.fork(link.ask(ping)))
      yield* Effect.yieldNow()
      // An engine that is away is waited for.
      engine.failures.push({ statusCode: 500 }, { statusCode: 502 })
      engine.detach()
      for (const fiber of asking) yield* Fiber.join(fiber)
      yield* link.ask(ping)
      assert.strictEqual(engine.attached, 2)
      assert.deepStrictEqual(asked, [...new Set(asked)])
    }),
  )

  it.scopedLive("attaches once more where an attachment is not heard of by the agent", () =>
    Effect.gen(function* () {
      const { engine, link } = yield* linked()
      yield* link.greet({}, 1)
      engine.isDeaf = true
      engine.detach()
      const attached = Effect.sync(() => engine.attached)
      yield* until(attached, (count) => count === 2)
      engine.isDeaf = false
      yield* until(attached, (count) => count === 3)
      yield* link.ask(ping)
    }),
  )

  it.scopedLive("attaches again for an agent that has lost the thread, but not for ever", () =>
    Effect.gen(function* () {
      const { engine, link } = yield* linked()
      yield* link.greet({}, 1)
      const noise = () => engine.listener.push(Buffer.alloc(50, 0x55))
      noise()
      yield* link.ask(ping)
      assert.strictEqual(engine.attached, 2)
      engine.onMessage = () => {
        noise()
        return true
      }
      yield* link
        .ask(ping)
        .pipe(
          Effect.timeout("20 millis"),
          Effect.ignore,
          Effect.repeat(Schedule.spaced("20 millis")),
          Effect.forkScoped,
        )
      yield* lost(link)
      assert.include(link.reason(), "break")
      assert.isAtMost(engine.attached, 6)
    }),
  )

  it.scopedLive("does not listen to an answer that nobody waits for any more, and keeps nothing of it", () =>
    Effect.gen(function* () {
      const { engine, link } = yield* linked()
      yield* link.greet({}, 1)
      engine.onMessage = () => true
      for (let asked = 0; asked < 100; asked++) yield* Effect.timeoutOption(link.ask(ping), 1)
      engine.onMessage = undefined
      for (let id = 1; id <= 100; id++) engine.agent.send({ type: "answer", id, value: "x".repeat(1000) })
      yield* link.ask(ping)
    }),
  )
})
