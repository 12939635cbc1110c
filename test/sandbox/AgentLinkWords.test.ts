import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, LogLevel } from "effect"
import { Kind, maxPayload } from "../../src/agent/Frame.ts"
import { ContainerId } from "../../src/domain/Identity.ts"
import * as AgentLink from "../../src/sandbox/AgentLink.ts"
import { lost } from "../support/LostLink.ts"
import { FakeEngine } from "../support/FakeEngine.ts"

const ready = (version: string) => `{"type":"ready","version":${version}}`

const lists = (depth: number) => "[".repeat(depth) + "]".repeat(depth)

/** Of the first three no words can be made: that would throw where nobody catches it, or take long. */
const messages: ReadonlyArray<readonly [what: string, text: string]> = [
  ["has lists in lists", ready(lists(200_000))],
  ["has objects in objects", ready('{"a":'.repeat(100_000) + "1" + "}".repeat(100_000))],
  ["has a very long list", ready(`[${"{},".repeat(900_000)}{}]`)],
  ["would take a second to parse", `{"type":"answer","id":1,"value":${lists(1_900_000)}}`],
]

const linked = Effect.gen(function* () {
  const engine = new FakeEngine()
  const link = yield* AgentLink.make(ContainerId.make("fake")).pipe(
    Effect.provide([engine.layer, Logger.minimumLogLevel(LogLevel.None)]),
  )
  yield* link.greet({}, 1000)
  return { engine, link }
})

describe("AgentLink", () => {
  for (const [what, text] of messages) {
    it.scopedLive(`loses the sandbox, and nothing else, of an agent whose message ${what}`, () =>
      Effect.gen(function* () {
        const { engine, link } = yield* linked
        engine.onMessage = () => true
        yield* link.send({ type: "ping", id: 1 })
        const body = Buffer.from(text)
        const message = Buffer.alloc(body.length + 4)
        message.writeUInt32BE(body.length)
        body.copy(message, 4)
        for (let at = 0; at < message.length; at += maxPayload)
          engine.frame(Kind.data, 0, message.subarray(at, at + maxPayload))
        yield* lost(link)
        assert.isBelow(link.reason().length, 100)
      }),
    )
  }

  it.scopedLive("understands an agent whose texts only look like lists in lists", () =>
    Effect.gen(function* () {
      const { engine, link } = yield* linked
      const text = `${'\\"['.repeat(100)}\\`
      engine.onMessage = (message) => {
        if ("id" in message) engine.agent.send({ type: "answer", id: message.id, value: [text, "{{"] })
        return true
      }
      const { value } = yield* link.ask((id) => ({ type: "ping", id }))
      assert.deepStrictEqual(value, [text, "{{"])
    }),
  )
})
