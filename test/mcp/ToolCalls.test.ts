import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { ConnectionId, NodeId, operationIdKey, Principal, SessionId } from "../../src/domain/Identity.ts"
import type { Operation, Outcome } from "../../src/domain/Operation.ts"
import { SessionDirectory } from "../../src/domain/SessionDirectory.ts"
import { type SessionError, SessionNotFound, Unavailable } from "../../src/domain/SessionError.ts"
import { type CallParams, ToolCalls } from "../../src/mcp/ToolCalls.ts"
import { Sessions } from "../../src/session/Sessions.ts"
import { Registry } from "../../src/tools/Registry.ts"
import { Objects } from "../../src/workspace/Objects.ts"
import * as FakeSandbox from "../support/FakeSandbox.ts"
import * as TestNode from "../support/TestNode.ts"

const [own, other] = [SessionId.make(`s_${"0".repeat(32)}`), SessionId.make(`s_${"1".repeat(32)}`)]
const summary = (id: SessionId) => ({ id, name: null, template: "default", createdAt: 0, activeAt: 60_000 })
const ann = Principal.make("token:ann")

/** Calls a tool over a connection of Ann's to `own`; she also has `other`. */
const call = (
  params: CallParams,
  outcome: Effect.Effect<Outcome, SessionError> = Effect.succeed({
    _tag: "Answered",
    state: "succeeded",
    output: { fine: true },
  }),
  settings: Readonly<Record<string, string>> = {},
) =>
  Effect.gen(function* () {
    const called: Array<readonly [SessionId, Operation]> = []
    const closed: Array<string> = []
    const noted: Array<readonly [SessionId, SessionId]> = []
    const begun: Array<string> = []
    const find = (principal: Principal, id: string) =>
      principal === ann && (id === own || id === other)
        ? Effect.succeed(summary(id === own ? own : other))
        : Effect.fail(new SessionNotFound({ session: id }))
    const boundaries = Layer.mergeAll(
      Layer.succeed(Sessions, {
        call: (session, operation) =>
          Effect.zipRight(
            Effect.sync(() => called.push([session, operation])),
            outcome,
          ),
        resume: () => Effect.succeed(undefined),
        answer: () => Effect.void,
        listen: () => Effect.dieMessage("nobody listens"),
        changes: () => Effect.dieMessage("nobody listens"),
        subscribe: () => Effect.void,
        post: () => Effect.succeed(false),
        cancel: () => Effect.void,
        note: (home, _, __, session) => Effect.sync(() => void noted.push([home, session])),
        isHere: () => false,
        release: () => Effect.void,
      }),
      Layer.succeed(SessionDirectory, {
        open: (_, name) => Effect.succeed({ ...summary(other), name: name ?? null, created: true }),
        find,
        list: () => Effect.succeed([summary(own), summary(other)]),
        close: (principal, id) => Effect.map(find(principal, id), () => void closed.push(id)),
      }),
      TestNode.identity({ node: "edge" }),
      Layer.succeed(Objects, FakeSandbox.noObjects),
      Layer.orDie(Registry.layer).pipe(Layer.provide(TestNode.settings(settings))),
    )
    const connection = {
      id: ConnectionId.make(`c_${"0".repeat(32)}`),
      session: own,
      protocolVersion: "2025-06-18",
      logLevel: null,
      questions: [],
    }
    const calls = yield* Effect.provide(
      ToolCalls,
      ToolCalls.layer.pipe(Layer.provide(boundaries), Layer.orDie),
    )
    const result = yield* calls.call(ann, connection, 7, params, {
      takesEvents: true,
      begun: (operation) => Effect.sync(() => begun.push(operation)),
      event: () => Effect.void,
      end: () => Effect.void,
      isResumable: () => false,
    })
    const [content] = result.content
    return {
      result,
      called,
      closed,
      noted,
      begun,
      said: JSON.parse(content?.type === "text" ? content.text : "{}"),
    }
  })

describe("ToolCalls", () => {
  it.effect("carries a call to the connection's own session, with the node that took it", () =>
    Effect.gen(function* () {
      const { called, result } = yield* call({ name: "exec", arguments: { command: "ls" } })
      const [session, operation] = called[0]!
      assert.strictEqual(session, own)
      assert.deepInclude(operation, {
        tool: "exec",
        input: { command: "ls" },
        edgeNode: NodeId.make("edge"),
      })
      assert.match(operation.id, /^o_[0-9a-f]{32}$/)
      assert.deepStrictEqual(result.structuredContent, { fine: true })
    }),
  )

  it.effect("carries it to the session that it names, and keeps that out of the tool's arguments", () =>
    Effect.gen(function* () {
      const { called } = yield* call({ name: "read_file", arguments: { path: "a", session_id: other } })
      assert.strictEqual(called[0]?.[0], other)
      assert.deepStrictEqual(called[0]?.[1].input, { path: "a" })
    }),
  )

  it.effect("answers a foreign or unknown session as one that does not exist, and runs nothing", () =>
    Effect.gen(function* () {
      for (const name of ["exec", "close_session", "session_info"]) {
        const args = name === "exec" ? { command: "ls" } : {}
        const { called, closed, result, said } = yield* call({
          name,
          arguments: { ...args, session_id: `s_${"9".repeat(32)}` },
        })
        assert.isTrue(result.isError)
        assert.strictEqual(said.code, "session_not_found")
        assert.deepStrictEqual([called, closed], [[], []])
      }
    }),
  )

  it.effect("fails an unknown tool with the protocol's own error", () =>
    Effect.gen(function* () {
      for (const name of ["rm", "", "toString", "__proto__"]) {
        const error = yield* Effect.flip(call({ name }))
        assert.strictEqual(error._tag === "UnknownTool" ? error.code : error._tag, -32602)
      }
    }),
  )

  it.effect("takes a tool by the name that the operator's prefix gives it, and carries its own", () =>
    Effect.gen(function* () {
      const settings = { TOOL_PREFIX: "cg_" }
      const failure = { code: "no_such_command", message: "Not by exec.", next: "Look with list_commands." }
      const lost = Effect.succeed<Outcome>({ _tag: "Failed", state: "failed", failure })
      const { called, result, said } = yield* call(
        { name: "cg_exec", arguments: { command: "ls" } },
        lost,
        settings,
      )
      assert.strictEqual(called[0]?.[1].tool, "exec")
      assert.isTrue(result.isError)
      assert.deepStrictEqual(said, {
        code: "no_such_command",
        message: "Not by cg_exec.",
        next: "Look with cg_list_commands.",
      })

      const output = { note: "Go on with read_output.", stdout: "read_output", checkpoint: { state: "off" } }
      const fine = yield* call(
        { name: "cg_exec", arguments: { command: "ls" } },
        Effect.succeed<Outcome>({ _tag: "Answered", state: "succeeded", output }),
        settings,
      )
      assert.deepStrictEqual(fine.said, { ...output, note: "Go on with cg_read_output." })
      assert.deepStrictEqual(fine.result.structuredContent, fine.said)

      const earlier = { failure, result: { failures: [{ message: "exec failed", next: "exec" }] } }
      const nested = yield* call(
        { name: "cg_get_result", arguments: { operation_id: "o_1" } },
        Effect.succeed<Outcome>({ _tag: "Answered", state: "succeeded", output: earlier }),
        settings,
      )
      assert.deepStrictEqual(nested.said.failure, said)
      assert.strictEqual(nested.said.result.failures[0].message, "exec failed")

      const error = yield* Effect.flip(call({ name: "exec", arguments: { command: "ls" } }, lost, settings))
      assert.include(error.message, "there are cg_exec, cg_read_output")
    }),
  )

  it.effect("has no tool of a set that the operator does not offer", () =>
    Effect.gen(function* () {
      const settings = { TOOLSETS: "files" }
      const error = yield* Effect.flip(
        call({ name: "exec", arguments: { command: "ls" } }, Effect.dieMessage("it is not run"), settings),
      )
      assert(error._tag === "UnknownTool")
      assert.notInclude(error.known, "exec")
      const { called } = yield* call({ name: "read_file", arguments: { path: "a" } }, undefined, settings)
      assert.strictEqual(called[0]?.[1].tool, "read_file")
    }),
  )

  it.effect("answers wrong arguments as a result that the model can read, and runs nothing", () =>
    Effect.gen(function* () {
      const { called, result, said } = yield* call({ name: "exec", arguments: { comand: "ls" } })
      assert.isTrue(result.isError)
      assert.strictEqual(said.code, "invalid_arguments")
      assert.lengthOf(called, 0)
    }),
  )

  it.effect("takes the operation's id from the client, and refuses one that is none", () =>
    Effect.gen(function* () {
      const params = (id: unknown) =>
        ({ name: "exec", arguments: { command: "ls" }, _meta: { [operationIdKey]: id } }) as CallParams
      assert.strictEqual((yield* call(params("mine-1"))).called[0]?.[1].id, "mine-1")
      for (const bad of ["", "a b", 7, null, "x".repeat(65)]) {
        const { called, said } = yield* call(params(bad))
        assert.strictEqual(said.code, "invalid_arguments")
        assert.lengthOf(called, 0)
      }
    }),
  )

  it.effect("answers an operation that failed, and a session that does not answer, with their codes", () =>
    Effect.gen(function* () {
      const failure = { code: "interrupted", message: "It was running.", next: "Look." }
      const failed = yield* call(
        { name: "exec", arguments: { command: "ls" } },
        Effect.succeed({ _tag: "Failed", state: "interrupted", failure }),
      )
      assert.deepStrictEqual([failed.result.isError, failed.said], [true, failure])
      const away = yield* call(
        { name: "exec", arguments: { command: "ls" } },
        Effect.fail(new Unavailable({ what: "Postgres" })),
      )
      assert.deepStrictEqual([away.result.isError, away.said.code], [true, "unavailable"])
    }),
  )

  it.effect("opens, lists and closes sessions without going to their owner first", () =>
    Effect.gen(function* () {
      const opened = yield* call({ name: "open_session", arguments: { name: "project" } })
      assert.deepStrictEqual(opened.said, {
        session_id: other,
        name: "project",
        template: "default",
        created: true,
      })
      const listed = yield* call({ name: "list_sessions", arguments: {} })
      assert.deepStrictEqual(listed.said.sessions, [
        {
          session_id: own,
          name: null,
          current: true,
          created_at: "1970-01-01T00:00:00.000Z",
          active_at: "1970-01-01T00:01:00.000Z",
        },
        {
          session_id: other,
          name: null,
          current: false,
          created_at: "1970-01-01T00:00:00.000Z",
          active_at: "1970-01-01T00:01:00.000Z",
        },
      ])
      const ended = yield* call({ name: "close_session", arguments: { session_id: other } })
      assert.deepStrictEqual([ended.said, ended.closed], [{ session_id: other, closed: true }, [other]])
      for (const { called } of [opened, listed, ended]) assert.lengthOf(called, 0)
    }),
  )
})
