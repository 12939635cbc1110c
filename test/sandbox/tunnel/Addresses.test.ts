import { assert, describe, it } from "@effect/vitest"
import { isIn, kindOf, subnets } from "../../../src/sandbox/tunnel/Addresses.ts"

const kinds: Readonly<Record<string, ReadonlyArray<string>>> = {
  "a metadata service": ["169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254"],
  loopback: ["127.0.0.1", "127.255.255.254", "::1", "0:0:0:0:0:0:0:1"],
  private: ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fdff::1", "fec0::1"],
  "carrier-grade NAT": ["100.64.0.1", "100.127.255.255"],
  "link-local": ["169.254.0.1", "fe80::1", "febf::1"],
  multicast: ["224.0.0.1", "239.255.255.255", "ff02::1"],
  NAT64: ["64:ff9b::1.2.3.4", "64:ff9b:1::1"],
  reserved:
    "0.0.0.0 0.1.2.3 192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.80 240.0.0.1 255.255.255.255 :: ::1.2.3.4 2001::1 2001:db8::1 2002:7f00:1:: 3fff::1 100::1 4000::1 5f00::1 fe00::1".split(
      " ",
    ),
  "an IPv4 address in IPv6": ["::ffff:1.2.3.4", "::ffff:7f00:1", "0:0:0:0:0:FFFF:8.8.8.8"],
  "no address": ["", "example.com", "1.2.3", "fe80::1%eth0", "01.2.3.4", "0x7f.0.0.1"],
}

describe("Addresses", () => {
  for (const [kind, addresses] of Object.entries(kinds)) {
    it(`knows what is ${kind}`, () => {
      for (const address of addresses) assert.strictEqual(kindOf(address), kind, address)
    })
  }

  it("leaves what is public alone, up to the neighbours of what is not", () => {
    const open = ["1.1.1.1", "9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "100.63.255.255"]
    open.push("100.128.0.0", "128.0.0.0", "126.255.255.255", "223.255.255.255", "2606:4700::1", "2a00::1")
    for (const address of open) assert.isUndefined(kindOf(address), address)
  })

  it("finds an address in subnets, but none that only holds one of theirs", () => {
    const list = subnets(["203.0.113.0/24", "10.1.2.3", "fd00::/8"])!
    for (const address of ["203.0.113.80", "10.1.2.3", "fd12::1"]) assert.isTrue(isIn(list, address), address)
    for (const address of ["203.0.114.1", "10.1.2.4", "fe80::1", "::ffff:10.1.2.3", "x"])
      assert.isFalse(isIn(list, address), address)
  })

  it("takes no subnet that is none", () => {
    for (const text of [
      "10.0.0.0/33",
      "::/129",
      "10.0.0.0/",
      "10.0.0/8",
      "host/8",
      "10.0.0.0/-1",
      "10.0.0.0/1e1",
      "fe80::1%lo/64",
      "",
    ])
      assert.isUndefined(subnets([text]), text)
  })
})
