/** Ends a command, or sends it a signal. */
import { Effect, Schema } from "effect"
import { OperationId } from "../../domain/Identity.ts"
import { CommandStatus, endOfOutput, statusOf } from "./CommandAnswer.ts"
import { CommandOperation, commandOf, endedCommand } from "./NamedCommand.ts"
import { optional, ownerTool } from "../Tool.ts"

export const killCommand = ownerTool({
  name: "kill_command",
  title: "Kill a command",
  description:
    "Kill a running command with every process that it started, daemons too. With `signal` only send that signal to " +
    "all of them, and wait a moment for the end. A command that has ended is left as it is.",
  input: Schema.Struct({
    operation_id: CommandOperation,
    signal: optional(
      Schema.Literal("SIGINT", "SIGTERM", "SIGKILL", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2").annotations({
        description: "A signal to send instead.",
      }),
    ),
  }),
  output: Schema.Struct({
    operation_id: OperationId.annotations({}),
    status: CommandStatus,
    exit_code: Schema.optional(Schema.Number),
    signal: Schema.optional(Schema.String.annotations({ description: "What ended the command." })),
  }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  changes: false,
  handler: Effect.fn("tools.kill_command")(function* ({ operation_id, signal }, call) {
    const command = yield* commandOf(operation_id, call)
    if (command === undefined) {
      const { exit_code, signal, status } = yield* endedCommand(operation_id, call)
      return {
        operation_id,
        status,
        ...(exit_code === undefined ? {} : { exit_code }),
        ...(signal === undefined ? {} : { signal }),
      }
    }
    const { id, sandbox } = command
    if (command.kept === undefined) {
      yield* signal === undefined ? sandbox.cancel(id) : sandbox.signal(id, signal)
    }
    const { end } = yield* sandbox.read(id, endOfOutput, moment, "end")
    return { operation_id, ...statusOf(end) }
  }),
})

/** Time for a signal to show, in milliseconds. */
const moment = 1000
