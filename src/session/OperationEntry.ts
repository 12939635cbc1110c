/** What is known of one operation on the node that runs it. */
import type { Deferred, Duration, Fiber } from "effect"
import type { Origin } from "../domain/Event.ts"
import type { ConnectionId } from "../domain/Identity.ts"
import type { Operation, Outcome } from "../domain/Operation.ts"
import type { SessionError } from "../domain/SessionError.ts"
import type { AnyOwnerTool } from "../tools/Tool.ts"
import { EventLog } from "./EventLog.ts"
import { Questions } from "./Questions.ts"
import { Silence } from "./Silence.ts"

export interface OperationEntry {
  readonly tool: AnyOwnerTool
  /** Without its input once it has ended. */
  operation: Operation
  readonly inputHash: string
  readonly log: EventLog
  readonly questions: Questions
  readonly silence: Silence
  readonly outcome: Deferred.Deferred<Outcome, SessionError>
  fiber: Fiber.RuntimeFiber<void> | undefined
  /** By `performance.now`; undefined while it runs. */
  endedAt: number | undefined
  /** It has ended, its row says how, and it is not run again. */
  isRecorded: boolean
  /** Characters that are kept of it once it has ended. */
  kept: number
  /** When its caller is to be told how it stands, by the clock of `domain/Monotonic.ts`. */
  answerAt: number
  /** The request that it answers: of those that joined it the last. */
  origin: Origin | undefined
  /** It ends with that request. */
  isFollowed: boolean
  /** Its caller was told how it stands: that was the answer. */
  isAnswered: boolean
  /** Its caller wants no answer any more. */
  isCancelled: boolean
}

/** Of one that begins. Its answer is due at `due`, and what it asks is waited for so long. */
export const entryOf = ({
  due,
  patience,
  ...begun
}: Pick<OperationEntry, "tool" | "operation" | "inputHash" | "outcome"> & {
  readonly due: number
  readonly patience: Duration.Duration
}): OperationEntry => {
  const log = new EventLog()
  return {
    ...begun,
    log,
    questions: new Questions((event) => log.emit(event), patience),
    silence: new Silence(),
    fiber: undefined,
    endedAt: undefined,
    isRecorded: false,
    kept: 0,
    answerAt: due,
    origin: begun.operation.origin,
    isFollowed: begun.operation.isFollowed === true,
    isAnswered: false,
    isCancelled: false,
  }
}

export const isRunning = ({ endedAt }: OperationEntry) => endedAt === undefined

export const isFor = (
  { origin }: OperationEntry,
  connection: ConnectionId,
  request: Origin["request"],
): boolean => origin?.connection === connection && origin.request === request

/** Whether a tool's operations go on after an answer. */
export const isLong = (tool: AnyOwnerTool) => tool.partial !== undefined
