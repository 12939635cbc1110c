/** What one operation asks its client and waits for. */
import { Deferred, type Duration, Effect } from "effect"
import type { OperationEvent, Origin, Question, QuestionReply } from "../domain/Event.ts"
import { QuestionNotAnswered } from "../domain/SessionError.ts"

export class Questions {
  /** By the number of the event that asks. */
  private readonly waiting = new Map<number, Deferred.Deferred<QuestionReply>>()

  private readonly emit: (event: OperationEvent) => number
  private readonly patience: Duration.Duration

  /** `emit` tells the client and gives the event's number; an answer is waited for until `patience` ends. */
  constructor(emit: (event: OperationEvent) => number, patience: Duration.Duration) {
    this.emit = emit
    this.patience = patience
  }

  /** Whether one waits for its answer. */
  get areOpen() {
    return this.waiting.size > 0
  }

  ask(origin: Origin | undefined, question: Question): Effect.Effect<unknown, QuestionNotAnswered> {
    return Effect.gen(this, function* () {
      if (origin?.questions?.includes(question.kind) !== true) {
        return yield* new QuestionNotAnswered({ problem: `its client does not take ${question.kind}` })
      }
      if (this.waiting.size >= maxWaiting) {
        return yield* new QuestionNotAnswered({
          problem: `${maxWaiting} questions wait for an answer already`,
        })
      }
      const reply = yield* Deferred.make<QuestionReply>()
      const number = this.emit({ _tag: "Question", ...question })
      this.waiting.set(number, reply)
      const said = yield* Deferred.await(reply).pipe(
        Effect.timeoutFail({
          duration: this.patience,
          onTimeout: () => new QuestionNotAnswered({ problem: "nobody answered in time (QUESTION_TIMEOUT)" }),
        }),
        Effect.ensuring(Effect.sync(() => this.waiting.delete(number))),
      )
      return said._tag === "Answer"
        ? said.result
        : yield* new QuestionNotAnswered({ problem: `its client refused: ${said.message.slice(0, 500)}` })
    })
  }

  /** The first answer counts; one that nobody asked for is let go. */
  answer(number: number, reply: QuestionReply) {
    const question = this.waiting.get(number)
    if (question !== undefined) Deferred.unsafeDone(question, Effect.succeed(reply))
  }
}

const maxWaiting = 16
