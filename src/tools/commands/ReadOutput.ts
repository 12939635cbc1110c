/** Shows what a command has written since a cursor, and whether it still runs. */
import { Duration, Effect, Option, Schema } from "effect"
import type { CommandPage, OutputCursor } from "../../domain/Command.ts"
import { OperationId } from "../../domain/Identity.ts"
import { commandAnswer, noPage, part, standing } from "./CommandAnswer.ts"
import { CommandOperation, commandOf, endedCommand } from "./NamedCommand.ts"
import { checkpointIn, defaultWaitMs, optional, ownerTool, WaitMs } from "../Tool.ts"

const Cursor = Schema.Number.pipe(Schema.int(), Schema.nonNegative())

export const readOutput = ownerTool({
  name: "read_output",
  title: "Read a command's output",
  description:
    "Read what the command of a call has written, from the cursors of the last answer on; from its beginning " +
    "without them. Waits up to `wait_ms` for something new or for the end. Call again while `status` is `running`, " +
    "or `more` is true.",
  input: Schema.Struct({
    operation_id: CommandOperation,
    stdout_cursor: optional(Cursor.annotations({ description: "Byte of stdout to begin at; 0 otherwise." })),
    stderr_cursor: optional(Cursor.annotations({ description: "Byte of stderr to begin at; 0 otherwise." })),
    wait_ms: optional(
      WaitMs.annotations({
        description: `Time to wait for something new, in milliseconds; ${defaultWaitMs} otherwise.`,
      }),
    ),
  }),
  output: Schema.Struct({
    ...commandAnswer,
    operation_id: OperationId.annotations({}),
    more: Schema.Boolean.annotations({ description: "More output is there already: call again at once." }),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  changes: false,
  handler: Effect.fnUntraced(function* (
    { operation_id, stdout_cursor = 0, stderr_cursor = 0, wait_ms = defaultWaitMs },
    call,
  ) {
    const after = { stdout: stdout_cursor, stderr: stderr_cursor }
    const [waited, found] = yield* Effect.timed(Effect.timeoutOption(commandOf(operation_id, call), wait_ms))
    if (Option.isNone(found)) {
      const starting = { operation: operation_id, startedAt: Date.now() }
      return { ...standing(starting, undefined, call), ...part(noPage, after) }
    }
    const command = found.value
    if (command === undefined) {
      const ended = yield* endedCommand(operation_id, call)
      return {
        ...ended,
        stdout: rest(ended.stdout, ended.stdout_cursor, after.stdout),
        stderr: rest(ended.stderr, ended.stderr_cursor, after.stderr),
        more: false,
      }
    }
    const shown = Effect.fnUntraced(function* (page: CommandPage) {
      const answer = { ...standing(command, page.end, call), ...part(page, after) }
      const checkpoint = page.end === undefined ? undefined : checkpointIn(yield* call.endOf(operation_id))
      return checkpoint === undefined ? answer : { ...answer, checkpoint }
    })
    const { id, sandbox } = command
    const left = Math.max(0, wait_ms - Duration.toMillis(waited))
    const [took, first] = yield* Effect.timed(sandbox.read(id, after, left, "output"))
    const answer = yield* shown(first)
    if (first.end !== undefined || isNews(answer, after)) return answer
    // The beginning of a character is there already, and is nothing to answer with.
    yield* sandbox.read(id, first.next, Math.max(0, left - Duration.toMillis(took)), "output")
    const page = yield* sandbox.read(id, after, 0, "output")
    return yield* shown(page)
  }),
})

const isNews = (
  { stdout_cursor, stderr_cursor }: { readonly stdout_cursor: number; readonly stderr_cursor: number },
  after: OutputCursor,
) => stdout_cursor > after.stdout || stderr_cursor > after.stderr

/** Of the output of a command that is kept no more only what it was answered with is left, all of it where it was short. */
const rest = (text: string, total: number, cursor: number) => {
  const bytes = Buffer.from(text)
  if (cursor >= total) return ""
  return bytes.length === total ? bytes.subarray(cursor).toString() : text
}
