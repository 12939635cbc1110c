import { assert, describe, it } from "@effect/vitest"
import type { Socket } from "node:net"
import { Duplex } from "node:stream"
import type { ChannelHandler } from "../../../src/agent/Channel.ts"
import { Channel } from "../../../src/agent/Channel.ts"
import { Kind } from "../../../src/agent/Frame.ts"
import { Connection, patience } from "../../../src/sandbox/tunnel/Connection.ts"
import { TooManyNames } from "../../../src/sandbox/tunnel/Outside.ts"
import { line } from "../../support/FakeLine.ts"

/** A host that takes a write only when it is let, and counts how often it is written to. */
class SlowHost extends Duplex {
  heard = Buffer.alloc(0)
  writes = 0
  private waiting: (() => void) | undefined

  override _read() {}

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void) {
    this.writes++
    this.heard = Buffer.concat([this.heard, chunk])
    this.waiting = done
  }

  setTimeout() {}

  accept() {
    while (this.waiting !== undefined) {
      const done = this.waiting
      this.waiting = undefined
      done()
    }
  }
}

const pieces = 10_000

/** A connection of a program that asked for a host, and has said `early` before that was reached. */
const open = async (early: number, resolve = async (): Promise<ReadonlyArray<string>> => ["192.0.2.1"]) => {
  const answers: Array<Uint8Array> = []
  const host = new SlowHost()
  let handler: ChannelHandler | undefined
  let said = 0
  const say = (count: number) => {
    for (const end = said + count; said < end; said++) handler?.data(Uint8Array.of(said % 251))
  }
  const connection = new Connection(
    {
      destinations: { connect: () => host as unknown as Socket, refusal: () => undefined },
      resolve,
      open: (given) => {
        handler = given
        return new Channel(1, given, {
          ...line,
          send: (kind, payload) => {
            if (kind === Kind.data && payload !== undefined) answers.push(payload)
          },
        })
      },
      allows: () => true,
      isHeld: () => true,
      refused: () => {},
      asked: () => {},
      dialled: () => {},
      sent: () => {},
      received: () => {},
      over: () => {},
    },
    patience,
  )
  handler?.data(Buffer.from("example.com:80\n"))
  say(early)
  await new Promise(setImmediate)
  host.emit("connect")
  return { host, connection, say, end: () => handler?.end(), answer: () => Buffer.concat(answers).toString() }
}

const expected = (count: number) => Buffer.from(Uint8Array.from({ length: count }, (_, index) => index % 251))

describe("Connection", () => {
  it.each([0, pieces / 2])(
    "passes on together what comes byte by byte for a slow host, %d of them before it is reached",
    async (early) => {
      const { host, say, end } = await open(early)
      say(pieces - early)
      end()
      host.accept()
      await new Promise(setImmediate)
      host.accept()
      assert.isTrue(host.heard.equals(expected(pieces)))
      assert.isTrue(host.writableEnded)
      assert.isAtMost(host.writes, 10)
    },
  )

  it("says why where too many names of its session wait to be resolved", async () => {
    const { connection, answer } = await open(0, () => Promise.reject(new TooManyNames()))
    assert.strictEqual(
      answer(),
      "503 example.com:80: too many names of this session wait to be resolved; try again later\n",
    )
    connection.abort()
  })

  it("tells a slow host what its program said before it went", async () => {
    const { host, connection, say } = await open(1)
    say(pieces - 1)
    connection.leave()
    assert.strictEqual(connection.phase, "open")
    host.accept()
    await new Promise(setImmediate)
    assert.isTrue(host.heard.equals(expected(pieces)))
    assert.strictEqual(connection.phase, "over")
  })
})
