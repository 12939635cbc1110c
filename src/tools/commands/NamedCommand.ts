/** The command that a tool's caller names: where this node has it, and where it has it no more. */
import { Effect, Option, Schema } from "effect"
import { OperationId } from "../../domain/Identity.ts"
import { explained } from "../../domain/Failure.ts"
import { commandAnswer } from "./CommandAnswer.ts"
import type { SessionCommand } from "./SessionCommands.ts"
import type { OwnerCall } from "../Tool.ts"

export const CommandOperation = OperationId.annotations({
  description: "The `operation_id` of the answer of the call that started it.",
})

/** The operation started no command in this session. */
class NoSuchCommand extends Schema.TaggedError<NoSuchCommand>()("NoSuchCommand", {
  operation: OperationId,
}) {
  override get message() {
    return `No command of this session has the operation id ${this.operation}.`
  }
  readonly next = "Look with list_commands, or start it with exec."
}

/** The session's command; waits while it is about to start. */
export const commandOf = (
  operation: OperationId,
  call: OwnerCall,
): Effect.Effect<SessionCommand | undefined> =>
  Effect.suspend(() => {
    const command = call.commands.find(operation)
    return command !== undefined || !call.goesOn(operation)
      ? Effect.succeed(command)
      : Effect.delay(commandOf(operation, call), "20 millis")
  })

const Answer = Schema.Struct(commandAnswer)

/** What is recorded of a command that ended: the answer with its end, or the reason why there is none. */
export const endedCommand = Effect.fnUntraced(function* (operation: OperationId, { outcomeOf }: OwnerCall) {
  const outcome = yield* outcomeOf(operation)
  if (outcome?._tag === "Failed") {
    return yield* Effect.fail(explained(outcome.failure))
  }
  const answer = Schema.decodeUnknownOption(Answer)(outcome?.output)
  return Option.isSome(answer) ? answer.value : yield* new NoSuchCommand({ operation })
})
