/** Lists the session's commands: those that run, and the last that ended. */
import { Effect, Schema } from "effect"
import { OperationId } from "../../domain/Identity.ts"
import { CommandStatus, endOfOutput, statusOf } from "./CommandAnswer.ts"
import { ownerTool } from "../Tool.ts"

export const listCommands = ownerTool({
  name: "list_commands",
  title: "List commands",
  description:
    "List the commands that calls started in this session: all that run, and the last ones that ended, whose output " +
    "read_output still has.",
  input: Schema.Struct({}),
  output: Schema.Struct({
    commands: Schema.Array(
      Schema.Struct({
        operation_id: OperationId.annotations({}),
        command: Schema.String.annotations({ description: "Its beginning, where it is long." }),
        status: CommandStatus,
        exit_code: Schema.optional(Schema.Number),
        signal: Schema.optional(Schema.String),
        started_at: Schema.String,
        stdout_bytes: Schema.Number,
        stderr_bytes: Schema.Number,
      }),
    ),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  changes: false,
  handler: Effect.fn("tools.list_commands")(function* (_, { commands }) {
    const all = yield* Effect.forEach(commands.all(), ({ id, operation, sandbox, shown, startedAt }) =>
      // It may be let go of while the others are looked at.
      commands.find(operation) === undefined
        ? Effect.succeedNone
        : // One whose program could not be started, or whose sandbox is lost, tells its own caller.
          Effect.option(
            Effect.map(sandbox.read(id, endOfOutput, 0, "output"), ({ end, next }) => ({
              operation_id: operation,
              command: shown,
              ...statusOf(end),
              started_at: new Date(startedAt).toISOString(),
              stdout_bytes: next.stdout,
              stderr_bytes: next.stderr,
            })),
          ),
    )
    return { commands: all.flatMap((one) => (one._tag === "Some" ? [one.value] : [])) }
  }),
})
