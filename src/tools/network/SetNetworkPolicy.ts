/** Says what the session's programs may reach outside. */
import { Effect, Schema } from "effect"
import { ownerTool } from "../Tool.ts"
import { Hosts, Network, networkAnswer, networkOf, policyOf } from "./PolicyArguments.ts"

export const setNetworkPolicy = ownerTool({
  name: "set_network_policy",
  title: "Set the network policy",
  description:
    "Say what the session's programs may reach outside, within what the operator allows. It holds at once: commands " +
    "that start from now on find a proxy in their environment, and connections to anything else end.",
  input: Schema.Struct({ network: Network, hosts: Hosts }),
  output: networkAnswer,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  changes: false,
  handler: Effect.fnUntraced(function* ({ network, hosts }, call) {
    yield* call.network.set(yield* policyOf(network, hosts))
    return networkOf(call.network)
  }),
})
