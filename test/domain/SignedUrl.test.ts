import { assert, describe, it } from "@effect/vitest"
import { Either } from "effect"
import { createHmac } from "node:crypto"
import { ObjectId, SessionId } from "../../src/domain/Identity.ts"
import { type Claims, sign, verify } from "../../src/domain/SignedUrl.ts"

const key = Buffer.alloc(32, 1)
const other = Buffer.alloc(32, 2)
const now = 1_000_000
const claims: Claims = {
  session: SessionId.make(`s_${"0".repeat(32)}`),
  object: ObjectId.make(`a_${"1".repeat(32)}`),
  method: "GET",
  expires: now + 1000,
}
const signed = sign(key, claims)

/** What it allows, or why not. */
const allows = (signed: string, { keys = [key], method = "GET", at = now } = {}) =>
  Either.merge(verify(keys, signed, method, at))

describe("SignedUrl", () => {
  it("allows what was signed, by its own method, until it expires", () => {
    assert.deepStrictEqual(allows(signed), claims)
    assert.deepStrictEqual(allows(signed, { method: "HEAD" }), claims)
    assert.deepStrictEqual(allows(signed, { at: now + 999 }), claims)
    assert.strictEqual(allows(signed, { at: now + 1000 }), "expired")
    for (const method of ["PUT", "POST", "DELETE", "get"]) {
      assert.strictEqual(allows(signed, { method }), "method")
    }
    const put = sign(key, { ...claims, method: "PUT", folder: "src" })
    assert.deepStrictEqual(allows(put, { method: "PUT" }), { ...claims, method: "PUT", folder: "src" })
    for (const method of ["GET", "HEAD"]) assert.strictEqual(allows(put, { method }), "method")
  })

  it("allows nothing that was changed: session, object, method, time, or the signature", () => {
    const [payload = "", signature = ""] = signed.split(".")
    const changes: ReadonlyArray<Partial<Claims>> = [
      { session: SessionId.make(`s_${"2".repeat(32)}`) },
      { object: ObjectId.make(`a_${"2".repeat(32)}`) },
      { method: "PUT" },
      { expires: now + 1_000_000 },
      { folder: "elsewhere" },
      { outlives: true },
    ]
    for (const change of changes) {
      const forged = Buffer.from(JSON.stringify({ ...claims, ...change })).toString("base64url")
      assert.strictEqual(allows(`${forged}.${signature}`), "invalid", JSON.stringify(change))
    }
    const bare = createHmac("sha256", key).update(payload).digest("base64url")
    const wrong = ["", ".", payload, `${payload}.`, `${payload}.${bare}`, `.${signature}`, `${signed}.x`]
    for (const text of [...wrong, `${signed.slice(0, -2)}AA`, `x${signed}`, "..", "\0"]) {
      assert.strictEqual(allows(text), "invalid", text)
    }
  })

  it("allows what any of the keys has signed, and nothing where a key is gone", () => {
    assert.deepStrictEqual(allows(signed, { keys: [other, key] }), claims)
    assert.strictEqual(allows(signed, { keys: [other] }), "invalid")
    assert.strictEqual(allows(signed, { keys: [] }), "invalid")
  })

  it("allows nothing that makes no sense, though it is signed", () => {
    for (const nonsense of [{}, { ...claims, object: "../x" }, { ...claims, expires: "never" }]) {
      assert.strictEqual(allows(sign(key, nonsense as Claims)), "invalid")
    }
  })
})
