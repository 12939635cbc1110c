import { assert, describe, it } from "@effect/vitest"
import { make } from "../../src/domain/Lease.ts"

/** A lease of five seconds by a clock of the test's own. */
const leased = () => {
  let time = 0
  const lease = make(5_000, () => time)
  const ends: Array<number> = []
  const stop = lease.onEnd(() => ends.push(time))
  return { lease, ends, stop, at: (now: number) => (time = now) }
}

describe("Lease", () => {
  it("has no term before the locks were renewed", () => {
    const { lease, ends } = leased()
    assert.isUndefined(lease.term())
    assert.deepStrictEqual(ends, [])
  })

  it("lasts from the beginning of the last renewal, not from its answer", () => {
    const { lease, at, ends } = leased()
    at(1_000)
    lease.renewed(0)
    at(4_999)
    assert.strictEqual(lease.term(), 1)
    at(5_000)
    assert.isUndefined(lease.term())
    assert.isUndefined(lease.term())
    assert.deepStrictEqual(ends, [5_000])
  })

  it("goes on with the same term while it is renewed in time", () => {
    const { lease, at } = leased()
    for (let time = 0; time < 60_000; time += 4_000) {
      at(time)
      lease.renewed(time)
      assert.strictEqual(lease.term(), 1)
    }
  })

  it("begins another term after a renewal that came too late, also where nobody had asked meanwhile", () => {
    const { lease, at, ends } = leased()
    lease.renewed(0)
    at(20_000)
    lease.renewed(19_000)
    assert.strictEqual(lease.term(), 2)
    assert.deepStrictEqual(ends, [20_000])
  })

  it("is not renewed by what was asked before a freeze and answered after it", () => {
    const { lease, at } = leased()
    lease.renewed(0)
    at(9_000)
    lease.renewed(2_000)
    assert.isUndefined(lease.term())
  })

  it("tells nobody who has stopped to listen", () => {
    const { lease, at, ends, stop } = leased()
    lease.renewed(0)
    stop()
    at(9_000)
    assert.isUndefined(lease.term())
    assert.deepStrictEqual(ends, [])
  })
})
