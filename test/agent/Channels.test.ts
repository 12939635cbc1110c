import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { type Channel, window } from "../../src/agent/Channel.ts"
import { Channels } from "../../src/agent/Channels.ts"
import { ChannelPair } from "../support/ChannelPair.ts"

/** Every byte says where it stands, so that one that is lost, doubled or out of place shows. */
const pattern = Buffer.alloc(8 * 1024 * 1024)
for (let at = 0; at < pattern.length; at++) pattern[at] = (at * 7 + (at >> 8) * 3 + (at >> 16) * 5) & 0xff

/** One direction of a channel: writes the pattern, and checks it as it comes. */
class Flow {
  written = 0
  received = 0
  consumed = 0
  ended = false
  from: () => Channel | undefined = () => undefined
  to: () => Channel | undefined = () => undefined

  readonly handler = {
    data: (chunk: Uint8Array) => {
      const expected = pattern.subarray(this.received, this.received + chunk.length)
      assert.isTrue(expected.equals(chunk), `bytes from ${this.received}`)
      this.received += chunk.length
      assert.isAtMost(this.received - this.consumed, window)
    },
    end: () => {
      assert.isFalse(this.ended)
      this.ended = true
    },
  }

  write(bytes: number) {
    const from = this.from()
    if (from === undefined) return
    const end = Math.min(pattern.length, this.written + bytes)
    from.write(pattern.subarray(this.written, end))
    this.written = end
  }

  consume(bytes = this.received - this.consumed) {
    const count = Math.min(bytes, this.received - this.consumed)
    this.consumed += count
    this.to()?.consume(count)
  }
}

/** Both directions of a channel. */
const flows = (pair: ChannelPair, id: number) => {
  const [down, up] = [new Flow(), new Flow()]
  const ends = pair.open(id, up.handler, down.handler)
  Object.assign(down, { from: () => ends.node, to: () => ends.agent })
  Object.assign(up, { from: () => ends.agent, to: () => ends.node })
  return [down, up] as const
}

/** What a channel keeps of what was written to it. */
const keptBy = (channel: Channel | undefined) =>
  (channel as unknown as { kept: { chunks: ReadonlyArray<Uint8Array> } }).kept.chunks

/** What an end keeps of the messages that it sent. */
const keptMessages = (end: Channels) => keptBy((end as unknown as { messages: Channel }).messages)

/** How many channels an end has open, that of the messages included. */
const count = (end: Channels) => (end as unknown as { open_: Map<number, Channel> }).open_.size

const size = FastCheck.oneof(
  FastCheck.integer({ min: 0, max: 40 }),
  FastCheck.integer({ min: 0, max: 5000 }),
  FastCheck.integer({ min: 0, max: 2 * window }),
)
const flowIndex = FastCheck.nat({ max: 5 })

type Step =
  | { readonly do: "write" | "consume"; readonly flow: number; readonly bytes: number }
  | { readonly do: "deliver"; readonly to: "node" | "agent"; readonly bytes: number }
  | { readonly do: "cut"; readonly kept: number; readonly lost: number; readonly late: number }
  | { readonly do: "slip"; readonly bytes: number }
  | { readonly do: "message"; readonly bytes: number }

const step: FastCheck.Arbitrary<Step> = FastCheck.oneof(
  {
    arbitrary: FastCheck.record({
      do: FastCheck.constantFrom("write" as const, "consume" as const),
      flow: flowIndex,
      bytes: size,
    }),
    weight: 4,
  },
  {
    arbitrary: FastCheck.record({
      do: FastCheck.constant("deliver" as const),
      to: FastCheck.constantFrom("node" as const, "agent" as const),
      bytes: size,
    }),
    weight: 4,
  },
  {
    arbitrary: FastCheck.record({
      do: FastCheck.constant("message" as const),
      bytes: FastCheck.integer({ min: 0, max: 3000 }),
    }),
    weight: 1,
  },
  {
    arbitrary: FastCheck.record({
      do: FastCheck.constant("cut" as const),
      kept: size,
      lost: size,
      late: size,
    }),
    weight: 1,
  },
  {
    arbitrary: FastCheck.record({ do: FastCheck.constant("slip" as const), bytes: size }),
    weight: 1,
  },
)

describe("Channels", () => {
  it("loses, doubles and mixes up nothing on any channel, however often the link is cut in the middle of a frame", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(step, { maxLength: 120 }), (steps) => {
        const pair = new ChannelPair()
        pair.settle()
        const all = [1, 2, 3].flatMap((id) => flows(pair, id))
        let said = 0
        for (const next of steps) {
          if (next.do === "write") all[next.flow]!.write(next.bytes)
          else if (next.do === "consume") all[next.flow]!.consume(next.bytes)
          else if (next.do === "deliver") pair.deliver(next.to, next.bytes)
          else if (next.do === "cut") pair.cut(next.kept, next.lost, next.late)
          else if (next.do === "slip") pair.slip(next.bytes)
          else {
            said++
            pair.node.send({ said, padding: "x".repeat(next.bytes) })
            pair.agent.send({ said, padding: "y".repeat(next.bytes) })
          }
        }
        pair.settle()
        // As a node does that is not heard in time.
        while (!pair.node.isHeard) {
          pair.cut(0, 0)
          pair.settle()
        }
        for (const flow of all) flow.from()?.end()
        for (let rounds = 0; all.some(({ ended }) => !ended); rounds++) {
          assert.isBelow(rounds, 100)
          pair.settle()
          for (const flow of all) flow.consume()
        }
        for (const { received, written } of all) assert.strictEqual(received, written)
        for (const messages of Object.values(pair.messages)) {
          assert.deepStrictEqual(
            messages.map((message) => (message as { said: number }).said),
            Array.from({ length: said }, (_, index) => index + 1),
          )
        }
      }),
      { numRuns: 150 },
    )
  })

  it("takes no frame of a broken attachment that comes late, whole as it is", () => {
    const pair = new ChannelPair()
    const [flow] = flows(pair, 1)
    pair.settle()
    flow.write(1000)
    pair.cut(0, 0, 1e6)
    pair.settle()
    pair.slip(1e6)
    flow.write(500)
    pair.settle()
    assert.deepStrictEqual([flow.received, flow.written], [1500, 1500])
  })

  it("listens to no mark that comes late", () => {
    const pair = new ChannelPair()
    const [flow] = flows(pair, 1)
    pair.settle()
    pair.cut(0, 0)
    pair.cut(0, 0, 1e6)
    pair.settle()
    pair.slip(1e6)
    flow.write(500)
    pair.settle()
    assert.strictEqual(flow.received, 500)
  })

  it("is heard on the next attachment where what comes late falls into the mark of one", () => {
    const pair = new ChannelPair()
    pair.settle()
    const [flow] = flows(pair, 1)
    pair.cut(0, 0, 1)
    pair.deliver("agent", 17)
    pair.slip(1)
    pair.settle()
    assert.isFalse(pair.node.isHeard)
    pair.cut(0, 0)
    pair.settle()
    flow.write(500)
    pair.settle()
    assert.deepStrictEqual([pair.node.isHeard, flow.received], [true, 500])
  })

  it("sends no more than a window that is not consumed, and the rest when it is", () => {
    const pair = new ChannelPair()
    const [flow] = flows(pair, 1)
    flow.write(3 * window)
    pair.settle()
    assert.strictEqual(flow.received, window)
    assert.strictEqual(flow.from()?.waiting, 2 * window)
    flow.consume(window / 2)
    pair.settle()
    assert.strictEqual(flow.received, 1.5 * window)
    for (let round = 0; round < 10; round++) {
      flow.consume()
      pair.settle()
    }
    assert.strictEqual(flow.received, 3 * window)
    assert.strictEqual(flow.from()?.waiting, 0)
  })

  it("holds up nobody else by a reader that takes nothing", () => {
    const pair = new ChannelPair()
    const [slow] = flows(pair, 1)
    const [fast] = flows(pair, 2)
    slow.write(2 * window)
    for (let round = 0; round < 10; round++) {
      fast.write(window)
      pair.node.send({ round })
      for (let part = 0; part < 2; part++) {
        pair.settle()
        fast.consume()
      }
    }
    assert.deepStrictEqual([slow.received, fast.received], [window, 10 * window])
    assert.lengthOf(pair.messages.toAgent, 10)
  })

  it("tells a writer that waits when all has been sent", () => {
    const pair = new ChannelPair()
    let drained = 0
    const ends = pair.open(
      1,
      { data: () => {}, end: () => {}, drain: () => drained++ },
      { data: () => {}, end: () => {} },
    )
    pair.settle()
    ends.node.write(Buffer.alloc(window))
    assert.deepStrictEqual([ends.node.waiting, drained], [0, 1])
    ends.node.write(Buffer.alloc(10))
    pair.settle()
    assert.deepStrictEqual([ends.node.waiting, drained], [10, 1])
    ends.agent?.consume(window)
    pair.settle()
    assert.deepStrictEqual([ends.node.waiting, drained], [0, 2])
  })

  it("keeps no more than a window of what was sent, and nothing once it is acknowledged", () => {
    const pair = new ChannelPair()
    const [flow] = flows(pair, 1)
    for (let round = 0; round < 20; round++) {
      flow.write(window / 4)
      pair.settle()
      flow.consume()
    }
    pair.settle()
    assert.lengthOf(keptBy(flow.from()), 0)
  })

  it("keeps little more than the bytes of what is written one by one, and sends them all", () => {
    const pair = new ChannelPair()
    const [flow] = flows(pair, 1)
    for (let at = 0; at < window; at++) flow.write(1)
    assert.isAtMost(keptBy(flow.from()).length, 200)
    pair.settle()
    flow.consume()
    pair.settle()
    assert.strictEqual(flow.received, window)
    assert.lengthOf(keptBy(flow.from()), 0)
  })

  it("keeps little of the messages that have come, for a link is idle for hours, and has pings alone", () => {
    const pair = new ChannelPair()
    for (let id = 0; id < 5000; id++) {
      pair.node.send({ type: "ping", id })
      pair.agent.send({ type: "answer", id })
      pair.settle()
    }
    for (const kept of [keptMessages(pair.node), keptMessages(pair.agent)]) {
      assert.isBelow(
        kept.reduce((sum, { length }) => sum + length, 0),
        1100,
      )
      // A piece of a larger buffer would keep all of that.
      assert.isTrue(kept.every((message) => message.buffer.byteLength === message.length))
    }
  })

  it("forgets a channel at both ends once the node has closed it, also over a link that broke", () => {
    const pair = new ChannelPair()
    for (let id = 1; id <= 50; id++) {
      const [down, up] = flows(pair, id)
      down.write(1000)
      up.write(1000)
      pair.settle()
      if (id % 10 === 0) pair.cut(0, 0)
      down.from()?.close()
      if (id % 10 === 5) pair.cut(0, 1e9)
      pair.settle()
    }
    assert.deepStrictEqual([count(pair.node), count(pair.agent)], [1, 1])
  })

  it("tells the agent of a close that is not urgent with the next message, or with the next link", () => {
    for (const isCut of [false, true]) {
      const pair = new ChannelPair()
      const [down] = flows(pair, 1)
      pair.settle()
      down.from()?.close(false)
      pair.settle()
      assert.deepStrictEqual([count(pair.node), count(pair.agent)], [1, 2])
      if (isCut) pair.cut(0, 0)
      else pair.node.send({ type: "ping", id: 0 })
      pair.settle()
      assert.deepStrictEqual([count(pair.node), count(pair.agent)], [1, 1])
    }
  })

  it("closes a channel at the agent also where the message that opens it comes later", () => {
    const pair = new ChannelPair()
    pair.settle()
    pair.node.send({ large: "x".repeat(2 * window) })
    const [down] = flows(pair, 1)
    down.from()?.close()
    pair.settle(1000)
    assert.isDefined(down.to())
    assert.strictEqual(count(pair.agent), 1)
  })

  it("closes a channel at the agent also where the message that opens it, and the close itself, were lost with the link", () => {
    for (const isAttached of [true, false]) {
      const pair = new ChannelPair()
      pair.settle()
      const [down] = flows(pair, 1)
      if (!isAttached) pair.cut(0, 0)
      down.from()?.close()
      pair.cut(0, 0)
      pair.settle()
      assert.isDefined(down.to())
      assert.deepStrictEqual([count(pair.node), count(pair.agent)], [1, 1])
    }
  })

  it("lets what is written to a new channel wait for the message that opens it", () => {
    const pair = new ChannelPair()
    pair.settle()
    pair.node.send({ large: "x".repeat(2 * window) })
    const [down] = flows(pair, 1)
    down.write(1000)
    down.from()?.end()
    pair.settle(1000)
    assert.deepStrictEqual([down.received, down.ended], [1000, true])
  })
})
