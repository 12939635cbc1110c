import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type { Notices } from "../../src/domain/Notice.ts"
import { Mailbox } from "../../src/session/Mailbox.ts"

const uris = ({ notices }: Notices) =>
  notices.map(({ notice }) => (notice._tag === "Updated" ? notice.uri : notice.message))

describe("Mailbox", () => {
  it("gives each notice once to a listener who goes on, and again to one who did not get it", () => {
    const mailbox = new Mailbox(1000)
    mailbox.update("a")
    mailbox.update("b")
    const first = mailbox.take("one", null)
    assert.deepStrictEqual(uris(first), ["a", "b"])
    assert.deepStrictEqual(uris(mailbox.take("one", first.last)), [])
    mailbox.update("a")
    assert.deepStrictEqual(uris(mailbox.take("one", first.notices[0]!.seq)), ["b", "a"])
  })

  it("goes on for a stream that names no place with what the one before was not given", () => {
    const mailbox = new Mailbox(0)
    mailbox.update("a")
    mailbox.take("one", null)
    mailbox.update("b")
    mailbox.begin("two")
    assert.deepStrictEqual(uris(mailbox.take("two", null)), ["b"])
  })

  it("says once what changed often before anybody took it", () => {
    const mailbox = new Mailbox(0)
    for (let n = 0; n < 1000; n++) mailbox.update("a")
    mailbox.update("b")
    assert.deepStrictEqual(uris(mailbox.take("one", null)), ["a", "b"])
  })

  it("keeps a bounded number of them for one who is away", () => {
    const mailbox = new Mailbox(0)
    for (let n = 0; n < 10_000; n++) mailbox.update(String(n))
    const kept = uris(mailbox.take("one", null))
    assert.isAtMost(kept.length, 512)
    assert.strictEqual(kept.at(-1), "9999")
  })

  it("knows a place of another owner's for an older one, and gives all that it has", () => {
    const mailbox = new Mailbox(5000)
    mailbox.update("a")
    assert.deepStrictEqual(uris(mailbox.take("one", 4321)), ["a"])
  })

  it("ends an older stream when another begins", () => {
    const mailbox = new Mailbox(0)
    assert.isFalse(mailbox.take("one", null).displaced)
    mailbox.begin("two")
    mailbox.update("a")
    assert.deepStrictEqual(mailbox.take("one", 0), { notices: [], last: 0, displaced: true })
    assert.deepStrictEqual(uris(mailbox.take("two", null)), ["a"])
  })

  it.effect("keeps a client's messages until they are taken, and refuses too many, or too much of them", () =>
    Effect.gen(function* () {
      const mailbox = new Mailbox(0)
      for (let n = 0; n < 256; n++) yield* mailbox.post(`m${n}`, n)
      assert.strictEqual((yield* Effect.flip(mailbox.post("m", "more")))._tag, "TooManyOperations")
      const { last, notices } = mailbox.take("one", null)
      assert.lengthOf(notices, 256)
      assert.lengthOf(mailbox.take("one", 0).notices, 256)
      mailbox.take("one", last)
      const large = "x".repeat(20 * 1024 * 1024)
      yield* mailbox.post("l1", large)
      assert.strictEqual((yield* Effect.flip(mailbox.post("l2", large)))._tag, "TooManyOperations")
    }),
  )

  it.effect("takes a message once, however often its caller has to say it", () =>
    Effect.gen(function* () {
      const mailbox = new Mailbox(0)
      yield* mailbox.post("m", "once")
      const { last } = mailbox.take("one", null)
      yield* mailbox.post("m", "once")
      assert.lengthOf(mailbox.take("one", last).notices, 0)
    }),
  )

  it.effect("gives much of it page by page, and a message that is larger than a page alone", () =>
    Effect.gen(function* () {
      const mailbox = new Mailbox(0)
      const [large, small] = ["x".repeat(3 * 1024 * 1024), "y".repeat(400 * 1024)]
      for (const [index, text] of [large, small, small, small].entries())
        yield* mailbox.post(`m${index}`, text)
      const sizes: Array<number> = []
      for (let after: number | null = null; sizes.length < 4;) {
        const page = mailbox.take("one", after)
        sizes.push(page.notices.length)
        after = page.last
        if (after === 4) break
      }
      assert.deepStrictEqual(sizes, [1, 2, 1])
    }),
  )

  it.effect("wakes whoever waits", () =>
    Effect.gen(function* () {
      const mailbox = new Mailbox(0)
      const waiting = yield* Effect.fork(mailbox.changed(mailbox.changes, 10_000))
      yield* Effect.yieldNow()
      mailbox.update("a")
      yield* Fiber.join(waiting)
    }),
  )
})
