import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Logger, LogLevel } from "effect"
import { Kind, maxPayload } from "../../src/agent/Frame.ts"
import { ContainerId } from "../../src/domain/Identity.ts"
import * as AgentLink from "../../src/sandbox/AgentLink.ts"
import { FakeEngine } from "../support/FakeEngine.ts"

/** Messages of which no words can be made: that would throw where nobody catches it, or take long. */
const messages: ReadonlyArray<readonly [what: string, version: string]> = [
  ["lists in lists", "[".repeat(200_000) + "]".repeat(200_000)],
  ["objects in objects", '{"a":'.repeat(100_000) + "1" + "}".repeat(100_000)],
  ["a very long list", `[${"{},".repeat(900_000)}{}]`],
]

describe("AgentLink", () => {
  for (const [what, version] of messages) {
    it.scopedLive(
      `loses the sandbox, and nothing else, of an agent whose message makes no sense and has ${what}`,
      () =>
        Effect.gen(function* () {
          const engine = new FakeEngine()
          const link = yield* AgentLink.make(ContainerId.make("fake")).pipe(
            Effect.provide([engine.layer, Logger.minimumLogLevel(LogLevel.None)]),
          )
          yield* link.greet({}, 1000)
          engine.onMessage = () => true
          yield* link.send({ type: "ping", id: 1 })
          const body = Buffer.from(`{"type":"ready","version":${version}}`)
          const message = Buffer.alloc(body.length + 4)
          message.writeUInt32BE(body.length)
          body.copy(message, 4)
          const [took] = yield* Effect.timed(
            Effect.sync(() => {
              for (let at = 0; at < message.length; at += maxPayload)
                engine.frame(Kind.data, 0, message.subarray(at, at + maxPayload))
            }),
          )
          yield* Effect.flip(link.lost)
          assert.isBelow(Duration.toMillis(took), 400)
        }),
    )
  }
})
