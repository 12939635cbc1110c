import { assert, describe, it } from "@effect/vitest"
import { type Channel, window } from "../../src/agent/Channel.ts"
import { Channels } from "../../src/agent/Channels.ts"
import { encode, Kind, maxPayload, ProtocolError } from "../../src/agent/Frame.ts"
import { maxMessage } from "../../src/agent/Messages.ts"
import { ChannelPair } from "../support/ChannelPair.ts"

/** How many channels an end has open, that of the messages included. */
const count = (end: Channels) => (end as unknown as { open_: Map<number, Channel> }).open_.size

describe("Channels", () => {
  describe("takes a peer for a liar that", () => {
    /** A node's end that is attached to somebody who says what a test wants. */
    const attached = () => {
      const sent: Array<Buffer> = []
      let attachment = 0
      const node = new Channels({
        send: (pieces) => sent.push(Buffer.concat(pieces)),
        message: () => {},
        follows: false,
      })
      const says = (kind: Kind, channel: number, payload: Uint8Array = Buffer.alloc(0)) =>
        node.receive(Buffer.concat(encode(attachment, kind, channel, payload)))
      const attach = () => node.attach(++attachment)
      attach()
      return { node, says, sent, attach }
    }
    const resync = (state: unknown) => Buffer.from(JSON.stringify(state))
    /** Of the messages nothing, and so many bytes of channel 1. */
    const received = (bytes: number) =>
      resync([
        [0, 0],
        [1, bytes],
      ])
    const number = (value: number) => {
      const bytes = Buffer.alloc(8)
      bytes.writeDoubleBE(value)
      return bytes
    }
    const message = (body: Buffer, length = body.length) => {
      const bytes = Buffer.alloc(4)
      bytes.writeUInt32BE(length)
      return Buffer.concat([bytes, body])
    }
    const open = (node: Channels, written = 0) => {
      const channel = node.open(1, { data: () => {}, end: () => {} })
      channel.write(Buffer.alloc(written))
      return channel
    }

    const lies: ReadonlyArray<
      readonly [what: string, tell: (peer: ReturnType<typeof attached>) => void, because: RegExp]
    > = [
      [
        "sends past a window",
        ({ node, says }) => {
          open(node)
          for (let sent = 0; sent <= window; sent += maxPayload) says(Kind.data, 1, Buffer.alloc(maxPayload))
        },
        /past its window/,
      ],
      [
        "goes on after an end",
        ({ node, says }) => {
          open(node)
          says(Kind.end, 1)
          says(Kind.data, 1, Buffer.alloc(1))
        },
        /after the end/,
      ],
      [
        "acknowledges what was not sent",
        ({ node, says }) => {
          open(node, 100)
          says(Kind.resync, 0, received(0))
          says(Kind.acknowledge, 1, number(101))
        },
        /acknowledges 101/,
      ],
      [
        "takes an acknowledgement back",
        ({ node, says }) => {
          open(node, 100)
          says(Kind.resync, 0, received(0))
          says(Kind.acknowledge, 1, number(60))
          says(Kind.acknowledge, 1, number(50))
        },
        /acknowledges 50/,
      ],
      ...[NaN, Infinity, 0.5, -1].map(
        (value) =>
          [
            `acknowledges ${value} bytes`,
            ({ node, says }: ReturnType<typeof attached>) => {
              open(node, 100)
              says(Kind.resync, 0, received(0))
              says(Kind.acknowledge, 1, number(value))
            },
            /acknowledge/,
          ] as const,
      ),
      [
        "acknowledges in another size",
        ({ node, says }) => {
          open(node)
          says(Kind.acknowledge, 1, Buffer.alloc(4))
        },
        /without a number/,
      ],
      [
        "has more than was written, after a break",
        ({ node, says }) => {
          open(node, 100)
          says(Kind.resync, 0, received(101))
        },
        /has 101/,
      ],
      [
        "has lost what it acknowledged, after a break",
        ({ node, says, attach }) => {
          open(node, 100)
          says(Kind.resync, 0, received(100))
          says(Kind.acknowledge, 1, number(100))
          attach()
          says(Kind.resync, 0, received(99))
        },
        /has 99/,
      ],
      [
        "has half a byte",
        ({ node, says }) => {
          open(node, 100)
          says(Kind.resync, 0, resync([[1, 0.5]]))
        },
        /has 0.5/,
      ],
      [
        "resumes with what is no list",
        ({ says }) => says(Kind.resync, 0, resync({ 0: 1 })),
        /without a list/,
      ],
      [
        "resumes with a list of what is no pair",
        ({ says }) => says(Kind.resync, 0, resync([1])),
        /without a list/,
      ],
      ["resumes with what is no JSON", ({ says }) => says(Kind.resync, 0, Buffer.from("{")), /JSON/],
      [
        "resumes twice",
        ({ says }) => {
          says(Kind.resync, 0, resync([]))
          says(Kind.resync, 0, resync([]))
        },
        /too many/,
      ],
      [
        "never comes to the end of its resync",
        ({ says }) => {
          for (let count = 0; count < 1000; count++) says(Kind.resync, 1, Buffer.from(" "))
        },
        /too many/,
      ],
      [
        "announces a message that is too large",
        ({ says }) => says(Kind.data, 0, message(Buffer.alloc(0), maxMessage + 1)),
        /a message of/,
      ],
      [
        "sends an empty message",
        ({ says }) => says(Kind.data, 0, message(Buffer.alloc(0))),
        /a message of 0/,
      ],
      [
        "sends a message that is no JSON",
        ({ says }) => says(Kind.data, 0, message(Buffer.from("{oops"))),
        /JSON/,
      ],
      ["sends a frame of no bytes", ({ node, says }) => void (open(node), says(Kind.data, 1)), /of no bytes/],
      [
        "speaks for ever of a channel that there is not",
        ({ says }) => {
          for (let count = 0; count < 1000; count++) says(Kind.data, 99, Buffer.alloc(maxPayload))
        },
        /nobody waits for/,
      ],
      [
        "goes on for ever to a channel that was closed",
        ({ node, says }) => {
          open(node).close()
          for (let count = 0; count < 1000; count++) says(Kind.data, 1, Buffer.alloc(maxPayload))
        },
        /nobody waits for/,
      ],
      [
        "says for ever what it has said",
        ({ node, says }) => {
          open(node)
          for (let count = 0; count < 1000; count++) says(Kind.end, 1)
        },
        /nobody waits for/,
      ],
      [
        "resumes with more channels than there ever are",
        ({ says }) => says(Kind.resync, 0, resync(Array.from({ length: 20_001 }, (_, id) => [id]))),
        /frame of|too many channels/,
      ],
      ["ends the messages", ({ says }) => says(Kind.end, 0), /messages ended/],
      ["closes the messages", ({ says }) => says(Kind.close, 0), /messages ended/],
    ]
    for (const [what, tell, because] of lies) {
      it(`${what}`, () => {
        assert.throws(() => tell(attached()), ProtocolError)
        assert.throws(() => tell(attached()), because)
      })
    }
  })

  it("bears what was on its way to a channel that it closed, byte by byte", () => {
    const pair = new ChannelPair()
    const ends = pair.open(1, { data: () => {}, end: () => {} }, { data: () => {}, end: () => {} })
    pair.settle()
    ends.node.close()
    for (let byte = 0; byte < 2000; byte++) ends.agent?.write(Buffer.alloc(1))
    ends.agent?.write(Buffer.alloc(window - 2000))
    ends.agent?.end()
    pair.settle()
    assert.deepStrictEqual([count(pair.node), count(pair.agent)], [1, 1])
  })
})
