import { assert, describe, it } from "@effect/vitest"
import { Either, Schema } from "effect"
import { exceeding, hostName, matcher, NetworkPolicy, presetOf } from "../../src/domain/Network.ts"

const isPolicy = (items: ReadonlyArray<string>) =>
  Either.isRight(Schema.decodeUnknownEither(NetworkPolicy)(items))

describe("Network", () => {
  it("a policy has names of hosts, wildcards at their beginning, ports and the set of registries", () => {
    for (const item of [
      "registries",
      "example.com",
      "Example.COM:8443",
      "*.example.com",
      "*",
      "*:22",
      "host",
      "a_b.example",
    ])
      assert.isTrue(isPolicy([item]), item)
    const wrong = [
      "",
      "https://example.com",
      "example.com/path",
      "user@example.com",
      "example.com:0",
      "example.com:65536",
      "example.com:",
      "*.*.com",
      "a.*.com",
      "*example.com",
      "1.2.3.4",
      "*.1.2.3.4",
      "127.1",
      "2130706433",
      "0x7f.1",
      "0x7f000001",
      "[::1]",
      "::1",
      "exa mple.com",
      "example.com\n",
      "-a.com",
      "münchen.de",
      `${"a".repeat(64)}.com`,
      `${"a.".repeat(130)}com`,
    ]
    for (const item of wrong) assert.isFalse(isPolicy([item]), item)
    assert.isFalse(isPolicy(Array.from({ length: 65 }, () => "example.com")))
  })

  it("a name is no address in any form, whatever its case and its last dot", () => {
    assert.strictEqual(hostName("PyPI.org."), "pypi.org")
    for (const text of [
      "1.2.3.4",
      "127.1",
      "0x7f000001",
      "2130706433",
      "1.2.3.0x4",
      "[::1]",
      "a..b",
      "",
      ".",
      "a b",
      "a%00.com",
      "pypi.org..",
    ])
      assert.isUndefined(hostName(text), text)
  })

  it("a host is allowed by its own name or a domain above it, on the ports that are named or 80 and 443", () => {
    const allows = matcher(["example.com", "*.wild.org", "odd.net:8443", "registries"])
    assert.isTrue(allows("example.com", 443))
    assert.isTrue(allows("example.com", 80))
    assert.isFalse(allows("example.com", 22))
    assert.isFalse(allows("www.example.com", 443))
    assert.isFalse(allows("badexample.com", 443))
    assert.isTrue(allows("a.b.wild.org", 443))
    assert.isFalse(allows("wild.org", 443))
    assert.isFalse(allows("notwild.org", 443))
    assert.isTrue(allows("odd.net", 8443))
    assert.isFalse(allows("odd.net", 443))
    assert.isTrue(allows("registry.npmjs.org", 443))
    assert.isFalse(matcher([])("pypi.org", 443))
    assert.isTrue(matcher(["*"])("anything.at.all", 443))
    assert.isFalse(matcher(["*"])("anything.at.all", 25))
  })

  it("what a policy allows beyond another is found, item by item", () => {
    const most = ["registries", "*.example.com", "git.example.org:8443", "*:2222"]
    const within = [
      "registries",
      "pypi.org",
      "a.example.com",
      "*.b.example.com",
      "git.example.org:8443",
      "x.y:2222",
    ]
    assert.deepStrictEqual(exceeding(within, most), [])
    const beyond = [
      "example.com",
      "*.com",
      "*",
      "git.example.org",
      "git.example.org:22",
      "pypi.org:8080",
      "badexample.com",
    ]
    assert.deepStrictEqual(exceeding(beyond, most), beyond)
    assert.deepStrictEqual(exceeding(["registries"], ["pypi.org"]), ["registries"])
    assert.deepStrictEqual(exceeding(["pypi.org:443"], ["registries"]), [])
    assert.deepStrictEqual(exceeding([], []), [])
    assert.deepStrictEqual(exceeding(["*.example.com", "registries"], ["*"]), [])
  })

  it("a policy has the name of a preset", () => {
    assert.deepStrictEqual([[], ["registries"], ["pypi.org"], ["registries", "pypi.org"]].map(presetOf), [
      "none",
      "registries",
      "custom",
      "custom",
    ])
  })
})
