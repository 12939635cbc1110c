/**
 * Which addresses a sandbox may reach: those of the public internet, by the registries of IANA (iana-ipv4-special-registry,
 * iana-ipv6-special-registry), and not those that a cloud's machines find their credentials at.
 */
import { BlockList, isIP } from "node:net"

const special: ReadonlyArray<readonly [kind: string, ...subnets: ReadonlyArray<string>]> = [
  ["a metadata service", "169.254.169.254/32", "100.100.100.200/32", "168.63.129.16/32", "fd00:ec2::254/128"],
  ["loopback", "127.0.0.0/8", "::1/128"],
  ["private", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"],
  ["carrier-grade NAT", "100.64.0.0/10"],
  ["link-local", "169.254.0.0/16", "fe80::/10"],
  ["multicast", "224.0.0.0/4", "ff00::/8"],
  ["NAT64", "64:ff9b::/96", "64:ff9b:1::/48"],
  [
    "reserved",
    "0.0.0.0/8",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
  ],
]

/** An address with a zone is none. */
const versionOf = (address: string) => (address.includes("%") ? 0 : isIP(address))

/** A list of subnets, `a.b.c.d/bits` or one address each; undefined where one is neither. */
export const subnets = (texts: ReadonlyArray<string>): BlockList | undefined => {
  const list = new BlockList()
  for (const text of texts) {
    const [address = "", bits] = text.split("/")
    const version = versionOf(address)
    const most = version === 4 ? 32 : 128
    const length = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : Infinity
    if (version === 0 || length > most) return undefined
    list.addSubnet(address, length, version === 4 ? "ipv4" : "ipv6")
  }
  return list
}

const kinds = special.map(([kind, ...texts]) => ({ kind, list: subnets(texts)! }))
const publicV6 = subnets(["2000::/3"])!

/** What an address is, where it is not one of the public internet. */
export const kindOf = (address: string): string | undefined => {
  const version = versionOf(address)
  if (version === 0) return "no address"
  if (version === 4) return kinds.find(({ list }) => list.check(address, "ipv4"))?.kind
  if (isMapped(address)) return "an IPv4 address in IPv6"
  const found = kinds.find(({ list }) => list.check(address, "ipv6"))?.kind
  return found ?? (publicV6.check(address, "ipv6") ? undefined : "reserved")
}

export const isIn = (list: BlockList, address: string) => {
  const version = versionOf(address)
  return version !== 0 && !isMapped(address) && list.check(address, version === 4 ? "ipv4" : "ipv6")
}

/** Also where one is written in another way. */
export const isSame = (one: string, other: string) =>
  one === other || (isIP(one) === 6 && isIP(other) === 6 && hostnameOf(one) === hostnameOf(other))

const hostnameOf = (address: string) => new URL(`http://[${address}]`).hostname

/** A list would take such an address for the one that it holds. */
const isMapped = (address: string) => isIP(address) === 6 && hostnameOf(address).startsWith("[::ffff:")
