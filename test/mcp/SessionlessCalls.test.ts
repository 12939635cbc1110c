import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { ConnectionId, OperationId } from "../../src/domain/Identity.ts"
import * as RequestState from "../../src/mcp/RequestState.ts"
import * as Registry from "../../src/tools/Registry.ts"
import { ownerTool } from "../../src/tools/Tool.ts"
import { interview } from "../support/asking/Interview.ts"
import * as EventStream from "../support/EventStream.ts"
import * as FakeSandbox from "../support/FakeSandbox.ts"
import * as MemoryOwner from "../support/MemoryOwner.ts"
import { ask, type Asked, foreign, own, said, serve, worded } from "../support/SessionlessEdge.ts"
import { until } from "../support/Until.ts"

const capabilities = { elicitation: { form: {} }, sampling: {} }

/** Has no end once it was answered. */
const stuck = ownerTool({
  ...interview,
  name: "stuck",
  handler: (_, { ask }) =>
    Effect.zipRight(
      ask({ kind: "elicitation", params: { message: "?", requestedSchema: {} } }),
      Effect.never,
    ),
})

/** A session with tools that ask, behind an edge. */
const asking = Effect.gen(function* () {
  const registry = Registry.of([interview, stuck], [])
  const cancels: Array<unknown> = []
  const ran: Array<string> = []
  const { operations, owner } = MemoryOwner.make(
    own,
    registry,
    FakeSandbox.make({ files: { append: (_, data) => Effect.sync(() => void ran.push(String(data))) } }),
  )
  const { url } = yield* serve(undefined, {
    tools: Layer.succeed(Registry.Registry, registry),
    owner: {
      ...owner,
      cancel: (...which) =>
        Effect.ensuring(
          owner.cancel(...which),
          Effect.sync(() => cancels.push(which)),
        ),
    },
  })
  const call = (more: Record<string, unknown> = {}, can: object = capabilities) =>
    ask(url, wordedAs(more, can))
  /** Answers the question of a call, as its repeat. */
  const reply = (requestState: string, question: unknown, more: Record<string, unknown> = {}) =>
    call({ requestState, inputResponses: { question }, ...more })
  return { call, cancels, operations, ran, reply, url }
})

const wordedAs = (more: Record<string, unknown>, can: object = capabilities): Asked => ({
  method: "tools/call",
  params: {
    name: "interview",
    arguments: { session_id: own, topic: "tea" },
    ...more,
    _meta: {
      "io.modelcontextprotocol/clientCapabilities": can,
      ...(more["_meta"] as object),
    },
  },
})

const ann = { action: "accept", content: { name: "Ann" } }
const poem = { role: "assistant", content: { type: "text", text: "o Ann" }, model: "m" }
const done = { name: "Ann", poem: "o Ann" }

describe("Calls that ask, without connections", () => {
  it.scopedLive(
    "are answered with a question at a time, and go on where they are repeated with what is said",
    () =>
      Effect.gen(function* () {
        const { call, ran, reply } = yield* asking
        const { result: first } = yield* call()
        assert.strictEqual(first.resultType, "input_required")
        assert.deepStrictEqual(Object.keys(first.inputRequests), ["question"])
        assert.strictEqual(first.inputRequests.question.method, "elicitation/create")
        assert.strictEqual(first.inputRequests.question.params.message, "Who are you, for tea?")
        const { result: second } = yield* reply(first.requestState, ann)
        assert.strictEqual(second.resultType, "input_required")
        assert.strictEqual(second.inputRequests.question.method, "sampling/createMessage")
        assert.strictEqual(second.inputRequests.question.params.messages[0].content.text, "Ann")
        const { result: third } = yield* reply(second.requestState, poem)
        assert.deepStrictEqual([third.resultType, third.structuredContent], ["complete", done])
        assert.deepStrictEqual(ran, ["tea\n"])
      }),
  )

  it.scopedLive("run once, however often a repeat is sent", () =>
    Effect.gen(function* () {
      const { call, ran, reply } = yield* asking
      const { result: first } = yield* call()
      const twice = yield* Effect.all([reply(first.requestState, ann), reply(first.requestState, ann)], {
        concurrency: 2,
      })
      const [{ result: second }, { result: again }] = twice
      assert.deepStrictEqual(again, second)
      // What is said first counts.
      const { result: late } = yield* reply(first.requestState, { action: "decline" })
      assert.deepStrictEqual(late, second)
      for (const requestState of [second.requestState, second.requestState, first.requestState]) {
        assert.deepStrictEqual((yield* reply(requestState, poem)).result.structuredContent, done)
      }
      assert.deepStrictEqual(ran, ["tea\n"])
    }),
  )

  it.scopedLive("ask again where a repeat says nothing, or not as the protocol has it", () =>
    Effect.gen(function* () {
      const { call, ran, reply } = yield* asking
      const { result: first } = yield* call()
      for (const more of [
        { inputResponses: {} },
        { inputResponses: { question: { method: "elicitation/create", result: ann } } },
        { inputResponses: undefined },
      ]) {
        assert.deepStrictEqual((yield* reply(first.requestState, ann, more)).result, first)
      }
      assert.strictEqual((yield* reply(first.requestState, ann)).result.resultType, "input_required")
      assert.lengthOf(ran, 1)
    }),
  )

  it.scopedLive("let no state in that is wrong, foreign, or another call's", () =>
    Effect.gen(function* () {
      const { call, ran, reply } = yield* asking
      const { result } = yield* call()
      const [caller, ...rest] = (result.requestState as string).split(".")
      const [, question, digest] = rest
      const forged = `c_${"0".repeat(32)}`
      for (const [state, more] of [
        ["", {}],
        ["x", {}],
        [[forged, ...rest].join("."), {}],
        [[caller, "another", question, digest].join("."), {}],
        [[caller, ...rest, "more"].join("."), {}],
        [result.requestState, { arguments: { session_id: own, topic: "coffee" } }],
      ] as const) {
        const { error } = yield* reply(state, ann, more)
        assert.deepStrictEqual(
          [error?.code, error?.data],
          [-32602, { reason: "invalid_request_state" }],
          state,
        )
        assert.include(error.message, "Call again without it")
      }
      // The session of another principal is none, also where all else fits.
      const asked = { name: "interview", arguments: { session_id: foreign, topic: "tea" } }
      const state = { caller: ConnectionId.make(caller!), operation: OperationId.make(rest[0]!), question: 1 }
      const elsewhere = yield* reply(RequestState.encode(state, asked), ann, asked)
      assert.strictEqual(said(elsewhere).code, "session_not_found")
      // None of them was heard.
      const { result: again } = yield* reply(result.requestState, undefined)
      assert.deepStrictEqual(again, result)
      assert.lengthOf(ran, 1)
    }),
  )

  it.scopedLive("wait on where their client goes away, and end once nobody answers in time", () =>
    Effect.gen(function* () {
      const { call, operations, reply } = yield* asking
      const { result } = yield* call()
      assert.lengthOf(operations.running(), 1)
      yield* until(
        Effect.sync(() => operations.running().length),
        (count) => count === 0,
      )
      const late = yield* reply(result.requestState, ann)
      assert.strictEqual(said(late).code, "question_not_answered")
      assert.include(said(late).message, "QUESTION_TIMEOUT")
    }),
  )

  it.scopedLive("end with the request that repeated them last, and with none before it", () =>
    Effect.gen(function* () {
      const { call, cancels, operations, url } = yield* asking
      const { result } = yield* call({ name: stuck.name })
      const repeat = worded(
        wordedAs({
          name: stuck.name,
          requestState: result.requestState,
          inputResponses: { question: ann },
        }),
      )
      const [lost, second] = [yield* EventStream.open(url, repeat), yield* EventStream.open(url, repeat)]
      yield* lost.cut
      yield* until(
        Effect.sync(() => cancels.length),
        (count) => count === 1,
      )
      assert.lengthOf(operations.running(), 1)
      yield* second.cut
      yield* until(
        Effect.sync(() => operations.running().length),
        (count) => count === 0,
      )
    }),
  )

  it.scopedLive("ask nothing that a client does not take", () =>
    Effect.gen(function* () {
      const { call } = yield* asking
      for (const can of [{}, { sampling: {} }, { elicitation: { url: {} }, sampling: {} }]) {
        const refusal = yield* call({}, can)
        assert.strictEqual(said(refusal).code, "question_not_answered")
        assert.include(said(refusal).message, "does not take elicitation")
      }
      const { result } = yield* call({}, { elicitation: {} })
      assert.strictEqual(result.resultType, "input_required")
    }),
  )
})
