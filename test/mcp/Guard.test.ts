import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { isLoopback } from "../../src/domain/Loopback.ts"
import { Guard } from "../../src/mcp/Guard.ts"
import { Principals } from "../../src/mcp/Principals.ts"
import * as TestNode from "../support/TestNode.ts"

const token = { API_TOKENS: `ann:${"a".repeat(64)}` }

const objections = (values: Readonly<Record<string, string>>) =>
  Effect.map(Guard, ({ objection }) => objection).pipe(
    Effect.provide(
      Guard.layer.pipe(Layer.provide(Principals.layer), Layer.provide(TestNode.settings(values))),
    ),
  )

describe("Guard", () => {
  describe("without tokens", () => {
    it.effect("lets loopback names and origins in, on any port", () =>
      Effect.gen(function* () {
        const objection = yield* objections({})
        for (const host of [
          "localhost",
          "localhost:8080",
          "127.0.0.1:8080",
          "127.1.2.3",
          "[::1]:8080",
          "[::1]",
        ]) {
          assert.isUndefined(objection(host, undefined), host)
        }
        for (const origin of ["http://localhost:6274", "https://127.0.0.1", "http://[::1]:3000"]) {
          assert.isUndefined(objection("localhost:8080", origin), origin)
        }
      }),
    )

    it.effect("refuses every other Host, as a page that rebound its own name would send it", () =>
      Effect.gen(function* () {
        const objection = yield* objections({})
        for (const host of [
          undefined,
          "",
          "evil.example",
          "evil.example:8080",
          "localhost.evil.example",
          "127.0.0.1.evil.example",
          "192.168.0.1:8080",
          "0.0.0.0:8080",
          "[::2]:8080",
          "localhost:port",
          "evil@example:80 localhost",
        ]) {
          assert.include(objection(host, undefined) ?? "let in", "ALLOWED_HOSTS", host)
        }
      }),
    )

    it.effect("refuses every other Origin, `null` among them", () =>
      Effect.gen(function* () {
        const objection = yield* objections({})
        for (const origin of [
          "https://evil.example",
          "null",
          "",
          "http://localhost.evil.example",
          "file://",
        ]) {
          assert.include(objection("localhost:8080", origin) ?? "let in", "ALLOWED_ORIGINS", origin)
        }
      }),
    )

    it.effect("lets in what the settings name beside loopback", () =>
      Effect.gen(function* () {
        const objection = yield* objections({
          ALLOWED_HOSTS: "box.internal, other.internal:8080",
          ALLOWED_ORIGINS: "https://app.example",
        })
        assert.isUndefined(objection("box.internal:9999", "https://app.example"))
        assert.isUndefined(objection("other.internal:8080", undefined))
        assert.isUndefined(objection("localhost:8080", "http://localhost:1"))
        assert.isDefined(objection("other.internal:8081", undefined))
        assert.isDefined(objection("box.internal", "http://app.example"))
        assert.isDefined(objection("box.internal", "https://app.example:8443"))
      }),
    )
  })

  describe("with tokens", () => {
    it.effect("takes any Host, unless the settings name some", () =>
      Effect.gen(function* () {
        const open = yield* objections(token)
        assert.isUndefined(open("mcp.example", undefined))
        const named = yield* objections({ ...token, ALLOWED_HOSTS: "mcp.example" })
        assert.isUndefined(named("mcp.example:443", undefined))
        assert.isDefined(named("localhost:8080", undefined))
        assert.isDefined(named(undefined, undefined))
      }),
    )

    it.effect("takes an Origin only where the settings name it, loopback ones too", () =>
      Effect.gen(function* () {
        const objection = yield* objections({ ...token, ALLOWED_ORIGINS: "https://app.example" })
        assert.isUndefined(objection("mcp.example", undefined))
        assert.isUndefined(objection("mcp.example", "https://app.example"))
        assert.isDefined(objection("mcp.example", "http://localhost:6274"))
      }),
    )
  })

  it("takes only names of this machine alone for loopback", () => {
    for (const name of ["localhost", "127.0.0.1", "127.255.0.9", "::1", "[::1]"]) {
      assert.isTrue(isLoopback(name), name)
    }
    for (const name of [
      undefined,
      "",
      "0.0.0.0",
      "::",
      "10.0.0.1",
      "127.0.0.1.nip.io",
      "a127.0.0.1",
      "128.0.0.1",
    ]) {
      assert.isFalse(isLoopback(name), name)
    }
  })
})
