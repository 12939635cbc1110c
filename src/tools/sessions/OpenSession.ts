/** Opens a session beside the connection's own. */
import { Effect, Schema } from "effect"
import { SessionName } from "../../domain/Session.ts"
import { Hosts, Network, policyOf } from "../network/PolicyArguments.ts"
import { edgeTool, optional } from "../Tool.ts"

export const openSession = edgeTool({
  name: "open_session",
  title: "Open a session",
  description:
    "Open a session with a workspace of its own, and use it by passing its `session_id` to other tools. " +
    "With a `name` the session of that name is found again, or made. `network` and `hosts` count for a new one; " +
    "set_network_policy changes them later.",
  input: Schema.Struct({
    name: optional(
      SessionName.annotations({
        description: "1 to 64 letters, digits, `.`, `_` and `-`. A named session stays until it is closed.",
      }),
    ),
    template: optional(
      Schema.String.pipe(Schema.minLength(1), Schema.maxLength(64)).annotations({
        description: "The kind of sandbox, of those that the operator offers; the default one otherwise.",
      }),
    ),
    network: optional(Network),
    hosts: Hosts,
  }),
  output: Schema.Struct({
    session_id: Schema.String,
    name: Schema.NullOr(Schema.String),
    template: Schema.String,
    created: Schema.Boolean.annotations({ description: "It is new." }),
  }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  needsNoSession: true,
  handler: Effect.fn("tools.open_session")(function* (
    { name, template, network, hosts },
    { principal, directory },
  ) {
    const preset = network ?? (hosts === undefined ? undefined : ("none" as const))
    const policy = preset === undefined ? undefined : yield* policyOf(preset, hosts)
    const session = yield* directory.open(principal, name, "unnamed", template, policy)
    return {
      session_id: session.id,
      name: session.name,
      template: session.template,
      created: session.created,
    }
  }),
})
