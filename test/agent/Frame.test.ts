import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import {
  encode,
  FrameReader,
  Kind,
  mark,
  MarkFinder,
  markSize,
  maxPayload,
  ProtocolError,
  secretOf,
  secretSize,
} from "../../src/agent/Frame.ts"

interface Frame {
  readonly kind: Kind
  readonly channel: number
  readonly payload: Buffer
}

/** Of all frames here. */
const attachment = 7

const bytesOf = ({ kind, channel, payload }: Frame) =>
  Buffer.concat(encode(attachment, kind, channel, payload))

const payloads = FastCheck.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))

/** All that an end may send; frames of data are never empty. */
const frames = FastCheck.array(
  FastCheck.record({
    kind: FastCheck.constantFrom(...Object.values(Kind)),
    channel: FastCheck.integer({ min: 0, max: 2 ** 32 - 1 }),
    payload: payloads,
  }).filter(({ kind, payload }) => kind !== Kind.data || payload.length > 0),
  { maxLength: 12 },
)

/** Where a stream is cut, as parts of its length. */
const cuts = FastCheck.array(FastCheck.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 })

const cut = (bytes: Buffer, at: ReadonlyArray<number>) => {
  const places = [0, ...at.map((part) => Math.floor(part * bytes.length)), bytes.length].sort((a, b) => a - b)
  return places.slice(1).map((place, index) => bytes.subarray(places[index], place))
}

/** Reads pieces; gives the frames, those of data put together per channel. */
const readFrames = (pieces: ReadonlyArray<Uint8Array>) => {
  const whole: Array<Frame> = []
  const data = new Map<number, Buffer>()
  const reader = new FrameReader(attachment, {
    data: (channel, piece) => data.set(channel, Buffer.concat([data.get(channel) ?? Buffer.alloc(0), piece])),
    frame: (kind, channel, payload) => whole.push({ kind, channel, payload: Buffer.from(payload) }),
  })
  for (const piece of pieces) reader.push(piece)
  return { whole, data }
}

describe("FrameReader", () => {
  it("gives every frame back, wherever the stream is cut", () => {
    FastCheck.assert(
      FastCheck.property(frames, cuts, (sent, at) => {
        const { whole, data } = readFrames(cut(Buffer.concat(sent.map(bytesOf)), at))
        assert.deepStrictEqual(
          whole,
          sent.filter(({ kind }) => kind !== Kind.data),
        )
        for (const [channel, bytes] of data) {
          const own = sent.filter((frame) => frame.kind === Kind.data && frame.channel === channel)
          assert.isTrue(bytes.equals(Buffer.concat(own.map(({ payload }) => payload))))
        }
      }),
    )
  })

  it("passes on nothing of a frame before all of it has come", () => {
    const frame = bytesOf({ kind: Kind.data, channel: 3, payload: Buffer.from("early and late") })
    assert.strictEqual(readFrames([frame.subarray(0, -1)]).data.size, 0)
    assert.strictEqual(readFrames([frame]).data.get(3)?.toString(), "early and late")
  })

  it("passes on nothing of a frame in which something is wrong, wherever that is", () => {
    const frame = FastCheck.record({
      kind: FastCheck.constantFrom(...Object.values(Kind)),
      channel: FastCheck.nat(),
      payload: payloads,
    })
    FastCheck.assert(
      FastCheck.property(
        frame,
        FastCheck.nat(),
        FastCheck.integer({ min: 1, max: 255 }),
        (frame, at, change) => {
          const bytes = bytesOf(frame)
          bytes[at % bytes.length]! ^= change
          const heard: Array<unknown> = []
          const reader = new FrameReader(attachment, {
            data: (...all) => heard.push(all),
            frame: (...all) => heard.push(all),
          })
          try {
            // More comes, for a frame that says it is longer.
            reader.push(Buffer.concat([bytes, Buffer.alloc(maxPayload, 0xff)]))
          } catch (error) {
            assert.instanceOf(error, ProtocolError)
          }
          assert.deepStrictEqual(heard, [])
        },
      ),
    )
  })

  it("refuses a frame of another attachment", () => {
    const late = Buffer.concat(encode(attachment - 1, Kind.data, 3, Buffer.from("late")))
    assert.throws(() => readFrames([late]), ProtocolError)
  })

  it("takes a payload of the largest size, and refuses a larger one by its header alone", () => {
    const largest = bytesOf({ kind: Kind.end, channel: 1, payload: Buffer.alloc(maxPayload, 7) })
    assert.strictEqual(readFrames([largest]).whole[0]?.payload.length, maxPayload)
    for (const size of [maxPayload + 1, 2 ** 31, 2 ** 32 - 1]) {
      const header = Buffer.alloc(9)
      header.writeUInt32BE(size)
      header.writeUInt8(Kind.end, 4)
      assert.throws(() => readFrames([header]), ProtocolError, String(size))
    }
  })

  it("refuses a kind that there is not", () => {
    for (const kind of [0, 6, 255]) {
      const frame = bytesOf({ kind: kind as Kind, channel: 1, payload: Buffer.alloc(1) })
      assert.throws(() => readFrames([frame]), ProtocolError, `kind ${kind}`)
    }
  })
})

const secret = secretOf(Buffer.from("0123456789abcdef"))

/** What comes before, between and after marks, which are numbers. */
const find = (pieces: ReadonlyArray<Buffer>) => {
  const seen: Array<number | string> = []
  const finder = new MarkFinder(
    secret,
    (bytes) => {
      const last = seen.at(-1)
      const text = Buffer.from(bytes).toString("latin1")
      if (typeof last === "string") seen[seen.length - 1] = last + text
      else seen.push(text)
    },
    (attachment) => void seen.push(attachment),
  )
  for (const piece of pieces) finder.push(Buffer.from(piece))
  return seen
}

/** Bytes that are full of beginnings of the secret, but never of all of it, and do not end in one. */
const teasing = FastCheck.array(
  FastCheck.tuple(FastCheck.integer({ min: 0, max: secretSize - 1 }), FastCheck.string({ maxLength: 9 })),
  { maxLength: 6 },
).map((parts) =>
  Buffer.concat(parts.flatMap(([size, text]) => [secret.subarray(0, size), Buffer.from(`${text}.`)])),
)

const number = FastCheck.integer({ min: 1, max: 2 ** 28 - 1 })

describe("MarkFinder", () => {
  it("finds every mark and passes on all else, wherever the stream is cut", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.tuple(teasing, number), { maxLength: 4 }),
        cuts,
        (parts, at) => {
          const bytes = Buffer.concat(parts.flatMap(([bytes, number]) => [bytes, mark(secret, number)]))
          const expected = parts.flatMap(([bytes, number]) => [bytes.toString("latin1"), number])
          assert.deepStrictEqual(
            find(cut(bytes, at)),
            expected.filter((part) => part !== ""),
          )
        },
      ),
    )
  })

  it("passes over what came of a mark that broke off in the middle", () => {
    FastCheck.assert(
      FastCheck.property(
        teasing,
        number,
        FastCheck.integer({ min: 1, max: markSize - 1 }),
        number,
        cuts,
        (before, broken, size, whole, at) => {
          FastCheck.pre(before.length > 0)
          const bytes = Buffer.concat([before, mark(secret, broken).subarray(0, size), mark(secret, whole)])
          assert.deepStrictEqual(find(cut(bytes, at)), [before.toString("latin1"), whole])
        },
      ),
    )
  })

  it("holds nothing back after a whole frame, whatever is in it", () => {
    FastCheck.assert(
      FastCheck.property(teasing, (payload) => {
        const frame = bytesOf({ kind: Kind.data, channel: 1, payload })
        assert.deepStrictEqual(find([frame]), [frame.toString("latin1")])
      }),
    )
  })

  it("holds back no more than less than a mark", () => {
    const half = mark(secret, 5).subarray(0, markSize - 1)
    assert.deepStrictEqual(find([Buffer.concat([Buffer.from("before"), half])]), ["before"])
    assert.deepStrictEqual(find([Buffer.from("before"), half, Buffer.from([5])]), ["before", 5])
  })
})
