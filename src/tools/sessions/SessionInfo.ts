/** What a session is, where it lives, and what it is bounded by. */
import { Effect, Schema } from "effect"
import { networkAnswer, networkOf } from "../network/PolicyArguments.ts"
import { CheckpointState, ownerTool } from "../Tool.ts"

export const sessionInfo = ownerTool({
  name: "session_info",
  title: "Session information",
  description:
    "Describe the session: its id and name, the node that owns it, how durable its files are, what it may reach outside, and its limits.",
  input: Schema.Struct({}),
  output: Schema.Struct({
    session_id: Schema.String,
    name: Schema.NullOr(Schema.String),
    epoch: Schema.Number.annotations({ description: "How often the session was activated on some node." }),
    template: Schema.String.annotations({ description: "The kind of its sandbox." }),
    owner_node: Schema.String,
    edge_node: Schema.String,
    durability: Schema.Literal("cluster", "node", "none").annotations({
      description:
        "What saved files survive: the loss of any node's machine (`cluster`), or of its process, for they are kept on " +
        "the same machine (`node`). `none`: files die with the node that owns the session.",
    }),
    checkpoint: CheckpointState,
    network: networkAnswer,
    limits: Schema.Struct({
      memory_bytes: Schema.Number,
      workspace_bytes: Schema.Number,
      home_bytes: Schema.Number,
      tmp_bytes: Schema.Number,
      cpus: Schema.Number,
      pids: Schema.Number,
      open_files: Schema.Number,
      command_timeout_ms: Schema.Number,
      max_command_timeout_ms: Schema.Number,
      output_bytes: Schema.Number,
      file_bytes: Schema.Number,
    }),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  changes: false,
  handler: (_, { checkpoint, durability, network, session, ownerNode, edgeNode, limits, template }) =>
    Effect.succeed({
      session_id: session.id,
      name: session.name,
      epoch: session.epoch,
      template: template.name,
      owner_node: ownerNode,
      edge_node: edgeNode,
      durability,
      checkpoint: checkpoint(),
      network: networkOf(network),
      limits: {
        memory_bytes: template.memory,
        workspace_bytes: template.workspace,
        home_bytes: template.home,
        tmp_bytes: template.tmp,
        cpus: template.cpus,
        pids: template.pids,
        open_files: template.openFiles,
        command_timeout_ms: limits.commandTimeoutMs,
        max_command_timeout_ms: limits.maxCommandTimeoutMs,
        output_bytes: limits.output,
        file_bytes: limits.file,
      },
    }),
})
