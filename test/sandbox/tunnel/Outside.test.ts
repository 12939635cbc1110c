import { assert, describe, it } from "@effect/vitest"
import { sharing, TooManyNames } from "../../../src/sandbox/tunnel/Outside.ts"

/** Lookups that end when the test says so, in the order in which they were begun. */
const lookups = () => {
  const asked: Array<string> = []
  const ends: Array<() => void> = []
  const look = sharing((host) => {
    asked.push(host)
    return new Promise((resolve, reject) =>
      ends.push(() => (host === "bad" ? reject(new Error(host)) : resolve([host]))),
    )
  })
  const settled = () => new Promise(setImmediate)
  const next = async () => {
    ends.shift()?.()
    await settled()
  }
  return { asked, look, next, settled }
}

describe("Outside", () => {
  it("looks a name up once for all who ask at a time, and two names at a time", async () => {
    const { asked, look, next, settled } = lookups()
    const all = ["a", "a", "bad", "c", "a"].map((host) => look(host, {}).catch(() => ["none"]))
    await settled()
    assert.deepStrictEqual(asked, ["a", "bad"])
    await next()
    assert.deepStrictEqual(await all[0], ["a"])
    await next()
    assert.deepStrictEqual(await all[2], ["none"])
    assert.deepStrictEqual(asked, ["a", "bad", "c"])
    await next()
    assert.deepStrictEqual(await Promise.all(all), [["a"], ["a"], ["none"], ["c"], ["a"]])
    const again = look("a", {})
    await settled()
    assert.deepStrictEqual(asked, ["a", "bad", "c", "a"])
    await next()
    assert.deepStrictEqual(await again, ["a"])
  })

  it("lets askers take turns, and refuses one that has too many names waiting, and nobody else", async () => {
    const { asked, look, next, settled } = lookups()
    const [greedy, modest] = [{}, {}]
    const refused: Array<string> = []
    for (let index = 0; index < 50; index++) {
      look(`g${index}`, greedy).catch((error: unknown) => {
        assert.instanceOf(error, TooManyNames)
        refused.push(`g${index}`)
      })
    }
    await settled()
    // One is looked up, and 32 wait.
    assert.lengthOf(refused, 50 - 33)
    assert.deepStrictEqual(asked, ["g0"])
    for (const host of ["m0", "m1"]) void look(host, modest)
    await settled()
    assert.deepStrictEqual(asked, ["g0", "m0"])
    await next()
    await next()
    await next()
    assert.deepStrictEqual(asked, ["g0", "m0", "g1", "m1", "g2"])
    for (let left = 40; left > 0; left--) await next()
    assert.lengthOf(asked, 33 + 2)
  })
})
