/**
 * What the programs of a session may reach outside: names of hosts with their ports. Nothing by default. Addresses are
 * never named; those that a name leads to are judged where it is dialled.
 */
import { Schema } from "effect"

/** The hosts from which pip, npm, cargo, go and apt have their packages, in their usual settings. */
const registries = [
  "pypi.org",
  "files.pythonhosted.org",
  "registry.npmjs.org",
  "registry.yarnpkg.com",
  "crates.io",
  "index.crates.io",
  "static.crates.io",
  "proxy.golang.org",
  "sum.golang.org",
  "deb.debian.org",
  "security.debian.org",
]

const usualPorts = [80, 443]

const label = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
/** Its last label begins with a letter: no form of an address does. */
const name = `(?:${label}\\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?`
const itemPattern = new RegExp(`^(?=.{1,259}$)(\\*|(?:\\*\\.)?${name})(?::([1-9][0-9]{0,4}))?$`, "i")
const hostPattern = new RegExp(`^(?=.{1,253}$)${name}$`)

/** `registries`, or a host: `example.com`, `*.example.com` (any below it), `*`, each with `:PORT` where not 80 or 443. */
export const NetworkItem = Schema.String.pipe(
  Schema.filter((item) => rulesOf(item) !== undefined || "is no host, `*.host`, `host:port` or `registries`"),
)

/** Empty: nothing. */
export const NetworkPolicy = Schema.Array(NetworkItem).pipe(Schema.maxItems(64))
export type NetworkPolicy = typeof NetworkPolicy.Type

interface Rule {
  /** `exact` is this host, `below` any host of that domain, `any` any at all. */
  readonly kind: "exact" | "below" | "any"
  readonly host: string
  readonly ports: ReadonlyArray<number>
}

/** Undefined for what is no item of a policy. */
const rulesOf = (item: string): ReadonlyArray<Rule> | undefined => {
  if (item === "registries") return registries.map((host) => ({ kind: "exact", host, ports: usualPorts }))
  const [, host, port] = itemPattern.exec(item) ?? []
  if (host === undefined || Number(port ?? 1) > 65535) return undefined
  const ports = port === undefined ? usualPorts : [Number(port)]
  if (host === "*") return [{ kind: "any", host, ports }]
  const lower = host.toLowerCase()
  return lower.startsWith("*.")
    ? [{ kind: "below", host: lower.slice(2), ports }]
    : [{ kind: "exact", host: lower, ports }]
}

const allRules = (policy: NetworkPolicy) => policy.flatMap((item) => rulesOf(item) ?? [])

/** A host's name as policies are matched with; undefined for an address, in whatever form, and for what is no name. */
export const hostName = (text: string): string | undefined => {
  const host = text.toLowerCase().replace(/\.$/, "")
  return hostPattern.test(host) ? host : undefined
}

/** What may reach a host, of `hostName`, on a port. */
export const matcher = (policy: NetworkPolicy) => {
  const rules = allRules(policy)
  return (host: string, port: number) =>
    rules.some((rule) => rule.ports.includes(port) && covers(rule, { kind: "exact", host }))
}

/** The items of a policy that allow something which `most` does not. */
export const exceeding = (policy: NetworkPolicy, most: NetworkPolicy): NetworkPolicy => {
  const bounds = allRules(most)
  return policy.filter((item) =>
    (rulesOf(item) ?? []).some((rule) =>
      rule.ports.some((port) => !bounds.some((bound) => bound.ports.includes(port) && covers(bound, rule))),
    ),
  )
}

const covers = (bound: Pick<Rule, "kind" | "host">, rule: Pick<Rule, "kind" | "host">) =>
  bound.kind === "any" ||
  (bound.kind === "below" && rule.kind !== "any" && rule.host.endsWith(`.${bound.host}`)) ||
  (bound.kind === rule.kind && bound.host === rule.host)

/** Names of policies that callers use. */
export const NetworkPreset = Schema.Literal("none", "registries", "custom")
export type NetworkPreset = typeof NetworkPreset.Type

export const presetOf = (policy: NetworkPolicy): NetworkPreset => {
  if (policy.length === 0) return "none"
  return policy.length === 1 && policy[0] === "registries" ? "registries" : "custom"
}

/** A policy in words: `none`, or its items. */
export const shownPolicy = (policy: NetworkPolicy) => (policy.length === 0 ? "none" : policy.join(", "))

/** A caller asks for more than the operator allows. */
export class NetworkNotAllowed extends Schema.TaggedError<NetworkNotAllowed>()("NetworkNotAllowed", {
  asked: Schema.Array(Schema.String),
  most: NetworkPolicy,
}) {
  override get message() {
    return `The operator does not allow ${this.asked.slice(0, 5).join(", ")}. A session may reach: ${shownPolicy(this.most)} (NETWORK_MAX).`
  }
  readonly next = "Ask for what is allowed, or go on without the network."
}
