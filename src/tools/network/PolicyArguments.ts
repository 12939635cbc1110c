/** How callers name what a session may reach, and how they are told of it. */
import { Effect, Schema } from "effect"
import { NetworkItem, type NetworkPolicy, NetworkPreset, presetOf } from "../../domain/Network.ts"
import { InvalidArguments } from "../InvalidArguments.ts"
import { optional, type OwnerCall } from "../Tool.ts"

export const Network = NetworkPreset.annotations({
  description: "`none`; `registries`: those of pip, npm, cargo, go and apt; `custom`: what `hosts` names.",
})

export const Hosts = optional(
  Schema.Array(Schema.String).pipe(Schema.minItems(1), Schema.maxItems(64)).annotations({
    description:
      "With `custom`: `example.com`, `*.example.com`, `registries`; `:PORT` where it is not 80 or 443.",
  }),
)

const isItem: (text: string) => boolean = Schema.is(NetworkItem)

/** The policy that a caller means. */
export const policyOf = (
  network: NetworkPreset,
  hosts: ReadonlyArray<string> | undefined,
): Effect.Effect<NetworkPolicy, InvalidArguments> => {
  if ((network === "custom") !== (hosts !== undefined)) {
    return Effect.fail(
      new InvalidArguments({ problem: "`custom` goes with `hosts`, and nothing else does." }),
    )
  }
  const wrong = hosts?.find((host) => !isItem(host))
  if (wrong !== undefined) {
    return Effect.fail(
      new InvalidArguments({
        problem: `${JSON.stringify(wrong.slice(0, 100))} is no host: names such as example.com, *.example.com or example.com:8443 are.`,
      }),
    )
  }
  return Effect.succeed(network === "none" ? [] : (hosts ?? ["registries"]))
}

export const networkAnswer = Schema.Struct({
  policy: NetworkPreset,
  hosts: Schema.Array(Schema.String).annotations({ description: "What programs may reach." }),
  may_ask: Schema.Array(Schema.String).annotations({
    description: "The most that set_network_policy may be asked for.",
  }),
  connections: Schema.Number.annotations({ description: "Since the sandbox's start." }),
  open_connections: Schema.Number,
  bytes_sent: Schema.Number,
  bytes_received: Schema.Number,
  refused: Schema.Number,
  refusals: Schema.Array(Schema.Struct({ target: Schema.String, reason: Schema.String })).annotations({
    description: "The last different ones.",
  }),
})

export const networkOf = ({ policy, most, status, refusals }: OwnerCall["network"]) => {
  const now = status()
  return {
    policy: presetOf(policy()),
    hosts: policy(),
    may_ask: most,
    connections: now?.opened ?? 0,
    open_connections: now?.open ?? 0,
    bytes_sent: now?.sent ?? 0,
    bytes_received: now?.received ?? 0,
    refused: now?.refused ?? 0,
    refusals: refusals(),
  }
}
