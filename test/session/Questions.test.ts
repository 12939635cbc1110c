import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, TestClock } from "effect"
import type { OperationEvent, Origin } from "../../src/domain/Event.ts"
import { ConnectionId } from "../../src/domain/Identity.ts"
import { Questions } from "../../src/session/Questions.ts"

const origin: Origin = {
  connection: ConnectionId.make(`c_${"0".repeat(32)}`),
  request: 1,
  questions: ["elicitation"],
}

const question = { kind: "elicitation" as const, params: { message: "which one?" } }

const make = () => {
  const asked: Array<OperationEvent> = []
  const questions = new Questions((event) => asked.push(event), Duration.minutes(1))
  return { asked, questions }
}

describe("Questions", () => {
  it.effect("give what the client answers first, each question its own", () =>
    Effect.gen(function* () {
      const { asked, questions } = make()
      const waiting = yield* Effect.fork(
        Effect.all([questions.ask(origin, question), questions.ask(origin, question)], { concurrency: 2 }),
      )
      yield* TestClock.adjust(0)
      assert.lengthOf(asked, 2)
      questions.answer(2, { _tag: "Answer", result: "second" })
      questions.answer(1, { _tag: "Answer", result: "first" })
      questions.answer(1, { _tag: "Answer", result: "too late" })
      questions.answer(7, { _tag: "Answer", result: "nobody asked" })
      assert.deepStrictEqual(yield* Fiber.join(waiting), ["first", "second"])
    }),
  )

  it.effect("are not put to a client that does not take such", () =>
    Effect.gen(function* () {
      const { asked, questions } = make()
      for (const client of [undefined, { ...origin, questions: ["sampling" as const] }]) {
        assert.include(
          (yield* Effect.flip(questions.ask(client, question))).message,
          "does not take elicitation",
        )
      }
      assert.lengthOf(asked, 0)
    }),
  )

  it.effect("fail where the client refuses, or says nothing for long", () =>
    Effect.gen(function* () {
      const { questions } = make()
      const refused = yield* Effect.fork(Effect.flip(questions.ask(origin, question)))
      const unheard = yield* Effect.fork(Effect.flip(questions.ask(origin, question)))
      yield* TestClock.adjust(0)
      questions.answer(1, { _tag: "Refusal", message: "not now" })
      yield* TestClock.adjust("1 minutes")
      assert.include((yield* Fiber.join(refused)).message, "not now")
      assert.include((yield* Fiber.join(unheard)).message, "QUESTION_TIMEOUT")
    }),
  )

  it.effect("are bounded in number, and leave room once they are over", () =>
    Effect.gen(function* () {
      const { asked, questions } = make()
      const waiting = yield* Effect.fork(
        Effect.all(
          Array.from({ length: 16 }, () => questions.ask(origin, question)),
          { concurrency: "unbounded" },
        ),
      )
      yield* TestClock.adjust(0)
      assert.include((yield* Effect.flip(questions.ask(origin, question))).message, "16 questions")
      yield* Fiber.interrupt(waiting)
      yield* Effect.fork(questions.ask(origin, question))
      yield* TestClock.adjust(0)
      assert.lengthOf(asked, 17)
    }),
  )
})
