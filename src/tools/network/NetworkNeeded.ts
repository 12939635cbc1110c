/** A tool needs to reach what the session may not. */
import { Schema } from "effect"
import { NetworkPolicy, exceeding, shownPolicy } from "../../domain/Network.ts"

export class NetworkNeeded extends Schema.TaggedError<NetworkNeeded>()("NetworkNeeded", {
  /** As a policy names it. */
  needed: Schema.String,
  policy: NetworkPolicy,
  most: NetworkPolicy,
}) {
  override get message() {
    return `The session may not reach ${this.needed}: its network policy is ${shownPolicy(this.policy)}.`
  }
  get next() {
    if (exceeding([this.needed], this.most).length > 0) {
      return `The operator does not allow it (NETWORK_MAX: ${shownPolicy(this.most)}); go on without it.`
    }
    return this.needed === "registries"
      ? "Call set_network_policy with `network: registries`, then repeat the call."
      : `Call set_network_policy with \`network: custom\` and \`hosts\`: ${[...this.policy, this.needed].join(", ")}; then repeat the call.`
  }
}
