import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createServer } from "node:net"
import { connect } from "node:tls"
import { helloOf, maxHello } from "../../../src/sandbox/tunnel/ServerName.ts"

/** What Node's TLS sends first. */
const sent = (servername: string) =>
  Effect.async<Buffer>((resume) => {
    const server = createServer((socket) => {
      socket.once("data", (bytes) => {
        socket.destroy()
        server.close()
        resume(Effect.succeed(bytes))
      })
    }).listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number }
      connect({ host: "127.0.0.1", port, servername, rejectUnauthorized: false }).on("error", () => {})
    })
  })

const u16 = (value: number) => Buffer.from([value >> 8, value & 255])
const sized = (size: number, ...parts: ReadonlyArray<Uint8Array>) => {
  const body = Buffer.concat(parts)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(body.length)
  return Buffer.concat([length.subarray(4 - size), body])
}
const extension = (kind: number, ...body: ReadonlyArray<Uint8Array>) =>
  Buffer.concat([u16(kind), sized(2, ...body)])
const named = (...names: ReadonlyArray<string>) =>
  extension(
    0,
    sized(2, ...names.map((name) => Buffer.concat([Buffer.from([0]), sized(2, Buffer.from(name))]))),
  )
const hello = (...extensions: ReadonlyArray<Uint8Array>) =>
  Buffer.concat([
    Buffer.from([1]),
    sized(
      3,
      Buffer.alloc(34),
      sized(1),
      sized(2, u16(0x1301)),
      sized(1, Buffer.alloc(1)),
      sized(2, ...extensions),
    ),
  ])
const record = (body: Uint8Array, kind = 22) => Buffer.concat([Buffer.from([kind, 3, 1]), sized(2, body)])

const reasonOf = (bytes: Uint8Array) => {
  const found = helloOf(bytes)
  return found._tag === "Refused" ? found.reason : found._tag
}

describe("ServerName", () => {
  it.effect("reads the name that a real client sends, cut anywhere, and what follows does not matter", () =>
    Effect.gen(function* () {
      const bytes = yield* sent("PyPI.example.org")
      const name = { _tag: "Name" as const, name: "pypi.example.org" }
      assert.deepStrictEqual(helloOf(bytes), name)
      for (let end = 0; end < bytes.length; end++)
        assert.strictEqual(helloOf(bytes.subarray(0, end))._tag, "Incomplete", String(end))
      assert.deepStrictEqual(
        helloOf(Buffer.concat([bytes, record(Buffer.alloc(5), 23), Buffer.from([9])])),
        name,
      )
      assert.strictEqual(reasonOf(yield* sent("")), "it names no server (SNI)")
    }),
  )

  it("reads a hello that stands in several records", () => {
    const whole = hello(extension(43, Buffer.alloc(3)), named("a.example"))
    const parts = [whole.subarray(0, 1), whole.subarray(1, 3), whole.subarray(3, 60), whole.subarray(60)]
    assert.deepStrictEqual(helloOf(Buffer.concat(parts.map((part) => record(part)))), {
      _tag: "Name",
      name: "a.example",
    })
    assert.strictEqual(
      helloOf(Buffer.concat(parts.slice(0, 3).map((part) => record(part))))._tag,
      "Incomplete",
    )
  })

  it("refuses a name that is missing, encrypted, doubled or of another kind", () => {
    assert.strictEqual(reasonOf(record(hello())), "it names no server (SNI)")
    assert.include(
      reasonOf(record(hello(named("a.example"), extension(0xfe0d, Buffer.alloc(9))))),
      "encrypted",
    )
    assert.include(
      reasonOf(record(hello(named("a.example"), extension(0xffce, Buffer.alloc(9))))),
      "encrypted",
    )
    assert.include(reasonOf(record(hello(named("a.example", "b.example")))), "several")
    assert.include(reasonOf(record(hello(named("a.example"), named("b.example")))), "several")
    const strange = extension(0, sized(2, Buffer.from([7]), sized(2, Buffer.from("a.example"))))
    assert.include(reasonOf(record(hello(strange))), "unknown kind")
  })

  it("refuses what is no hello, at its first bytes", () => {
    for (const bytes of [
      Buffer.from("GET / HTTP/1.1\r\n"),
      Buffer.from("S"),
      record(Buffer.alloc(4), 23),
      Buffer.from([22, 2]),
    ])
      assert.include(reasonOf(bytes), "no TLS handshake")
    assert.include(reasonOf(record(Buffer.from([2, 0, 0, 1, 0]))), "no ClientHello")
    assert.include(reasonOf(record(Buffer.from([1, 0xff, 0xff, 0xff]))), "too long")
    assert.include(reasonOf(Buffer.from([22, 3, 1, 0, 0])), "malformed")
  })

  it("waits for no more than a bound, and never fails on any bytes", () => {
    const endless = Buffer.concat(Array.from({ length: 4000 }, () => record(Buffer.from([1]))))
    assert.strictEqual(helloOf(endless.subarray(0, 5))._tag, "Incomplete")
    const whole = record(hello(named("a.example")))
    for (let at = 0; at < whole.length; at++) {
      for (const value of [0, 1, 127, 255]) {
        const bytes = Buffer.from(whole)
        bytes[at] = value
        const found = helloOf(bytes)
        assert.include(["Name", "Refused", "Incomplete"], found._tag)
      }
    }
    const slow = Buffer.concat([
      record(Buffer.from([1, 0, 0x3f, 0xff])),
      record(Buffer.alloc(maxHello - 100)),
    ])
    assert.strictEqual(helloOf(slow)._tag, "Incomplete")
    assert.include(reasonOf(Buffer.concat([slow, record(Buffer.alloc(90)).subarray(0, 95)])), "too long")
  })
})
