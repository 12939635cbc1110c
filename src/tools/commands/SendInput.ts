/** Writes to the standard input of a command that runs. */
import { Effect, Schema } from "effect"
import { OperationId } from "../../domain/Identity.ts"
import { CommandOperation, commandOf, endedCommand } from "./NamedCommand.ts"
import { CheckpointState, optional, ownerTool } from "../Tool.ts"

export const sendInput = ownerTool({
  name: "send_input",
  title: "Send input to a command",
  description:
    "Write text to the standard input of a running command that exec started with `stdin_open`, then read its " +
    "answer with read_output. A line needs its own newline. On a terminal (`tty`), \\u0003 is Ctrl-C and \\u0004 is " +
    "the end of input; elsewhere `end` closes the input.",
  input: Schema.Struct({
    operation_id: CommandOperation,
    input: Schema.String.annotations({ description: "Text to write; may be empty." }),
    end: optional(Schema.Boolean.annotations({ description: "Close the input afterwards." })),
  }),
  output: Schema.Struct({
    operation_id: OperationId.annotations({}),
    bytes: Schema.Number.annotations({ description: "Bytes that were sent." }),
    checkpoint: CheckpointState,
  }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },
  changes: true,
  handler: Effect.fnUntraced(function* ({ operation_id, input, end = false }, call) {
    const command = yield* commandOf(operation_id, call)
    if (command === undefined) yield* endedCommand(operation_id, call)
    if (command === undefined || command.kept !== undefined) {
      return yield* new InputNotTaken({ reason: "the command has ended" })
    }
    if (command.spec.stdin !== "open") {
      return yield* new InputNotTaken({ reason: "it was started without `stdin_open`" })
    }
    const data = Buffer.from(input)
    yield* command.sandbox.write(command.id, data, end).pipe(
      Effect.timeoutFail({
        duration: patience,
        onTimeout: () =>
          new InputNotTaken({ reason: "the command does not read it; a part may have arrived" }),
      }),
    )
    return { operation_id, bytes: data.length, checkpoint: call.checkpoint() }
  }),
})

/** Time for a command to read what it is sent. */
const patience = "20 seconds"

/** A command takes no input. */
class InputNotTaken extends Schema.TaggedError<InputNotTaken>()("InputNotTaken", { reason: Schema.String }) {
  override get message() {
    return `The command takes no input: ${this.reason}.`
  }
  readonly next = "Look with read_output; to talk to a command, start it by exec with `stdin_open: true`."
}
