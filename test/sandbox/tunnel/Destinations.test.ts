import { assert, describe, it } from "@effect/vitest"
import { subnets } from "../../../src/sandbox/tunnel/Addresses.ts"
import { refusalOf } from "../../../src/sandbox/tunnel/Destinations.ts"

const list = (...texts: ReadonlyArray<string>) => subnets(texts)!

describe("Destinations", () => {
  const refusal = refusalOf({
    exceptions: list("127.0.0.0/8", "10.1.0.0/16", "192.0.2.0/24"),
    ports: [8080, 34431],
    own: () => ["10.1.0.1", "8.8.4.4"],
    services: () => [
      { what: "this cluster's Postgres", addresses: ["10.1.0.9", "8.8.8.8"], port: 5432 },
      { what: "the Docker engine", addresses: ["10.1.0.9"], port: 2375 },
      { what: "a node of this cluster", addresses: ["10.1.0.2", "2001:4860::0:8"], port: 34431 },
      { what: "a service of this machine", addresses: ["127.0.0.1"], port: 6000 },
    ],
  })

  it("lead to the internet and to what the operator excepts", () => {
    for (const address of ["1.1.1.1", "10.1.0.5", "127.0.0.1", "192.0.2.80", "2606:4700::1"])
      assert.isUndefined(refusal(address, 443), address)
    assert.strictEqual(refusal("10.2.0.1", 443), "private")
    assert.strictEqual(refusal("198.51.100.1", 443), "reserved")
    assert.strictEqual(refusal("::ffff:10.1.0.5", 443), "an IPv4 address in IPv6")
  })

  it("do not lead to the node and its Postgres: an exception opens other ports of theirs, and never their own", () => {
    assert.strictEqual(refusal("8.8.4.4", 443), "this node itself")
    assert.strictEqual(refusal("8.8.8.8", 443), "this cluster's Postgres")
    assert.isUndefined(refusal("10.1.0.1", 443))
    assert.isUndefined(refusal("10.1.0.9", 443))
    for (const address of ["127.0.0.1", "10.1.0.1"])
      for (const port of [8080, 34431]) assert.strictEqual(refusal(address, port), "this node itself")
    assert.strictEqual(refusal("10.1.0.9", 5432), "this cluster's Postgres")
    assert.strictEqual(refusal("10.1.0.9", 2375), "the Docker engine")
    assert.isUndefined(refusal("10.1.0.5", 8080))
    assert.strictEqual(refusal("10.1.0.2", 34431), "a node of this cluster")
    assert.isUndefined(refusal("10.1.0.2", 443))
    assert.strictEqual(refusal("2001:4860::8", 443), "a node of this cluster")
    for (const address of ["127.0.0.1", "127.1.2.3", "10.1.0.1"])
      assert.strictEqual(refusal(address, 6000), "a service of this machine", address)
    assert.isUndefined(refusal("10.1.0.5", 6000))
  })
})
