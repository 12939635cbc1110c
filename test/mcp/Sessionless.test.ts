import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer } from "effect"
import type { NumberedEvent } from "../../src/domain/Event.ts"
import type { OperationId } from "../../src/domain/Identity.ts"
import { FileError } from "../../src/domain/SandboxError.ts"
import { failureOf } from "../../src/domain/Failure.ts"
import { leftOut } from "../../src/mcp/Resources.ts"
import { of, Registry, standard } from "../../src/tools/Registry.ts"
import * as EventStream from "../support/EventStream.ts"
import * as Http from "../support/Http.ts"
import { answer, ask, exec, foreign, own, revision, said, serve, worded } from "../support/SessionlessEdge.ts"
import { until } from "../support/Until.ts"

describe("Sessionless", () => {
  it.scopedLive("tells a client that asks what there is, and that calls name their session", () =>
    Effect.gen(function* () {
      const { url } = yield* serve()
      const { result, status } = yield* ask(url, { method: "server/discover" })
      assert.strictEqual(status, 200)
      assert.deepStrictEqual(result.supportedVersions, [revision])
      assert.deepStrictEqual(result.capabilities, {
        tools: {},
        resources: { subscribe: true },
        prompts: {},
        completions: {},
      })
      assert.include(result.instructions, "open_session")
      assert.deepStrictEqual([result.resultType, result.cacheScope], ["complete", "public"])
      assert.strictEqual(result._meta["io.modelcontextprotocol/serverInfo"].name, "codegen-mcp")
    }),
  )

  it.scopedLive("refuses headers that are missing or say something else than the body", () =>
    Effect.gen(function* () {
      const { called, url } = yield* serve()
      for (const headers of [
        { "mcp-method": "tools/list" },
        { "mcp-method": undefined },
        { "mcp-name": "read_file" },
        { "mcp-name": undefined },
        { "mcp-protocol-version": "2025-11-25" },
        { "mcp-protocol-version": undefined },
      ]) {
        const { error, id, status } = yield* ask(url, { ...exec({ session_id: own }), headers })
        assert.deepStrictEqual([status, error.code, id], [400, -32020, 7], JSON.stringify(headers))
      }
      assert.lengthOf(called, 0)
    }),
  )

  it.scopedLive("names its revision to a client that speaks a later one", () =>
    Effect.gen(function* () {
      const { url } = yield* serve()
      const { error, status } = yield* ask(url, { method: "tools/list", version: "2027-01-01" })
      assert.strictEqual(status, 400)
      assert.deepStrictEqual(error.data.supported, [revision])
    }),
  )

  it.scopedLive("leaves requests of the older revisions to those, on the same URL", () =>
    Effect.gen(function* () {
      const { url } = yield* serve()
      const { body, headers } = worded({ method: "tools/list" })
      const older = { ...body, params: {} }
      const answer = yield* Http.send(url, {
        method: "POST",
        headers: { ...headers, "mcp-protocol-version": "2025-11-25" },
        body: JSON.stringify(older),
      })
      assert.strictEqual(answer.status, 400)
      assert.include(answer.text, "Mcp-Session-Id")
    }),
  )

  it.scopedLive("has neither ping nor a log level to set", () =>
    Effect.gen(function* () {
      const { url } = yield* serve()
      for (const method of ["ping", "logging/setLevel", "resources/subscribe", "initialize"]) {
        const { error } = yield* ask(url, { method })
        assert.strictEqual(error.code, -32601, method)
      }
    }),
  )

  it.scopedLive("lists the same tools, of which those that need a session ask for it", () =>
    Effect.gen(function* () {
      const { url } = yield* serve()
      const { result } = yield* ask(url, { method: "tools/list" })
      assert.deepInclude(result, { resultType: "complete", cacheScope: "public" })
      const asking = (needed: boolean) =>
        result.tools
          .filter(({ inputSchema }: any) => inputSchema.required.includes("session_id") === needed)
          .map(({ name }: any) => name)
      assert.deepStrictEqual(asking(false), [
        "list_artifacts",
        "get_artifact",
        "delete_artifact",
        "open_session",
        "list_sessions",
      ])
      assert.include(asking(true), "exec")
      assert.lengthOf(asking(true), result.tools.length - 5)
    }),
  )

  it.scopedLive("opens a session without one, and carries a call to the session that it names", () =>
    Effect.gen(function* () {
      const { called, url } = yield* serve()
      const opened = yield* ask(url, {
        method: "tools/call",
        params: { name: "open_session", arguments: {} },
      })
      assert.strictEqual(opened.result.structuredContent.session_id, own)
      const ran = yield* ask(url, exec({ session_id: own }))
      assert.deepStrictEqual(ran.result.structuredContent, { fine: true })
      assert.strictEqual(ran.result.resultType, "complete")
      const [session, operation] = called[0]!
      assert.strictEqual(session, own)
      assert.deepStrictEqual(operation.input, { command: "ls" })
    }),
  )

  it.scopedLive(
    "answers a call without a session, or with a foreign one, with what to do, and runs nothing",
    () =>
      Effect.gen(function* () {
        const { called, url } = yield* serve()
        for (const [more, code] of [
          [{}, "session_required"],
          [{ session_id: foreign }, "session_not_found"],
          [{ session_id: 7 }, "invalid_arguments"],
        ] as const) {
          const answer = yield* ask(url, exec(more))
          assert.isTrue(answer.result.isError)
          assert.strictEqual(said(answer).code, code)
        }
        assert.include(said(yield* ask(url, exec())).next, "open_session")
        const closing = { method: "tools/call", params: { name: "close_session", arguments: {} } }
        assert.strictEqual(said(yield* ask(url, closing)).code, "session_required")
        const { error } = yield* ask(url, { method: "tools/call", params: { name: "rm", arguments: {} } })
        assert.strictEqual(error.code, -32602)
        assert.lengthOf(called, 0)
      }),
  )

  it.scopedLive("tells progress on the answer's stream under the token of the call, then its end", () =>
    Effect.gen(function* () {
      const { url } = yield* serve((operation, listener) =>
        Effect.gen(function* () {
          for (let seq = 1; seq <= 3; seq++) {
            yield* listener!(
              { seq, event: { _tag: "Progress", progress: seq * 10, message: `${seq}` } },
              operation.origin,
            )
          }
          return answer
        }),
      )
      const stream = yield* EventStream.open(url, worded(exec({ session_id: own }, { progressToken: "p" })))
      assert.include(stream.type, "text/event-stream")
      const events = yield* EventStream.rest(stream)
      assert.isTrue(events.every(({ id, retry }) => id === undefined && retry === undefined))
      const messages = events.map(({ data }) => JSON.parse(data))
      assert.deepStrictEqual(
        messages.slice(0, -1).map(({ method, params }) => [method, params]),
        [1, 2, 3].map((seq) => [
          "notifications/progress",
          { progressToken: "p", progress: seq * 10, message: `${seq}` },
        ]),
      )
      assert.deepStrictEqual(
        [messages.at(-1).id, messages.at(-1).result.structuredContent],
        [7, { fine: true }],
      )
    }),
  )

  it.scopedLive("answers with JSON alone where the client takes no stream", () =>
    Effect.gen(function* () {
      const event: NumberedEvent = { seq: 1, event: { _tag: "Progress", progress: 1, message: "1" } }
      const { url } = yield* serve((operation, listener) =>
        Effect.as(listener?.(event, operation.origin) ?? Effect.void, answer),
      )
      const { result, type } = yield* ask(url, {
        ...exec({ session_id: own }, { progressToken: "p" }),
        headers: { accept: "application/json" },
      })
      assert.include(type, "application/json")
      assert.deepStrictEqual(result.structuredContent, { fine: true })
    }),
  )

  it.scopedLive("answers what takes longer by a stream, also without progress", () =>
    Effect.gen(function* () {
      const end = yield* Deferred.make<void>()
      const { url } = yield* serve(() => Effect.as(Deferred.await(end), answer))
      const stream = yield* EventStream.open(url, worded(exec({ session_id: own })))
      assert.deepStrictEqual([stream.status, stream.type], [200, "text/event-stream"])
      yield* Deferred.succeed(end, undefined)
      const [only, ...others] = yield* EventStream.rest(stream)
      assert.lengthOf(others, 0)
      assert.deepStrictEqual(JSON.parse(only!.data).result.structuredContent, { fine: true })
    }),
  )

  it.scopedLive("holds a few events back for a client that does not read, and loses none", () =>
    Effect.gen(function* () {
      const many = 600
      let told = 0
      const { url } = yield* serve((operation, listener) =>
        Effect.gen(function* () {
          for (let seq = 1; seq <= many; seq++) {
            yield* listener!(
              { seq, event: { _tag: "Progress", progress: seq, message: "x".repeat(65_536) } },
              operation.origin,
            )
            told = seq
          }
          return answer
        }),
      )
      const { body, headers, method } = worded(exec({ session_id: own }, { progressToken: "p" }))
      const response = yield* Effect.promise(() =>
        fetch(url, { method, headers, body: JSON.stringify(body) }),
      )
      let before = -1
      yield* until(
        Effect.delay(
          Effect.sync(() => told),
          "200 millis",
        ),
        (now) => {
          const still = now === before
          before = now
          return still
        },
      )
      assert.isBelow(told, many / 2)
      const text = yield* Effect.promise(() => response.text())
      const progress = [...text.matchAll(/"progress":(\d+)/g)].map(([, at]) => Number(at))
      assert.deepStrictEqual(
        progress,
        Array.from({ length: many }, (_, index) => index + 1),
      )
    }),
  )

  it.scopedLive("cancels what a client waits for when that goes away, and nothing else", () =>
    Effect.gen(function* () {
      const { called, cancelled, url } = yield* serve(({ input }) =>
        (input as { command: string }).command === "ls" ? Effect.succeed(answer) : Effect.never,
      )
      yield* ask(url, exec({ session_id: own }))
      const waiting = yield* EventStream.open(url, worded(exec({ session_id: own, command: "wait" })))
      const other = yield* EventStream.open(url, worded(exec({ session_id: own, command: "wait too" })))
      yield* waiting.cut
      yield* until(
        Effect.sync(() => cancelled.length),
        (count) => count > 0,
      )
      yield* ask(url, exec({ session_id: own }))
      const { origin } = called[1]![1]
      assert.deepStrictEqual(cancelled, [[own, origin!.connection, origin!.request]])
      assert.strictEqual(new Set(called.map(([, { origin }]) => origin!.connection)).size, 4)
      yield* other.cut
      yield* until(
        Effect.sync(() => cancelled.length),
        (count) => count === 2,
      )
    }),
  )

  it.scopedLive("cancels also before anything was answered", () =>
    Effect.gen(function* () {
      const { called, cancelled, url } = yield* serve(() => Effect.never)
      const { body, ...request } = worded(exec({ session_id: own }))
      const asking = yield* Effect.fork(
        Http.send(url, {
          ...request,
          headers: { ...request.headers, accept: "application/json" },
          body: JSON.stringify(body),
        }),
      )
      yield* until(
        Effect.sync(() => called.length),
        (count) => count === 1,
      )
      yield* asking.interruptAsFork(asking.id())
      yield* until(
        Effect.sync(() => cancelled.length),
        (count) => count === 1,
      )
    }),
  )

  it.scopedLive("answers a call whose operation was cancelled by another that joined it", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(() => Effect.succeed({ _tag: "Cancelled" }))
      assert.strictEqual(said(yield* ask(url, exec({ session_id: own }))).code, "cancelled")
    }),
  )

  it.scopedLive(
    "answers for a node that leaves, and cancels no operation, which its client may take up elsewhere",
    () =>
      Effect.gen(function* () {
        const { cancelled, leaving, url } = yield* serve(() => Effect.never)
        const waiting = yield* EventStream.open(url, worded(exec({ session_id: own })))
        yield* Deferred.succeed(leaving, undefined)
        const [event] = yield* EventStream.rest(waiting)
        assert.strictEqual(said(JSON.parse(event!.data)).code, "node_leaving")
        yield* ask(url, { method: "tools/list" })
        assert.lengthOf(cancelled, 0)
      }),
  )

  it.scopedLive("calls tools by the operator's names in what it says itself", () =>
    Effect.gen(function* () {
      const { leaving, url } = yield* serve(
        ({ tool }) =>
          tool === "resource_paths"
            ? Effect.succeed({ ...answer, output: { paths: [], truncated: true } })
            : tool === "resource_content"
              ? Effect.succeed({
                  _tag: "Failed",
                  state: "failed",
                  failure: failureOf(new FileError({ path: "b", reason: "missing" })),
                })
              : Effect.never,
        { tools: Layer.succeed(Registry, of(standard.listed, [], "cg_")) },
      )
      const command = (more: object) => ({
        method: "tools/call",
        params: { name: "cg_exec", arguments: { command: "ls", ...more } },
      })
      const read = (path: string) =>
        ask(url, { method: "resources/read", params: { uri: `workspace://${own}/${path}` } })
      assert.match((yield* read("")).result.contents[0].text, / cg_list_files /)
      assert.match((yield* read("b")).error.message, / cg_list_files/)
      assert.match(said(yield* ask(url, command({}))).next, / cg_open_session/)
      assert.match(said(yield* ask(url, command({ session_id: foreign }))).next, / cg_list_sessions/)
      const waiting = yield* EventStream.open(url, worded(command({ session_id: own })))
      yield* Deferred.succeed(leaving, undefined)
      const [event] = yield* EventStream.rest(waiting)
      assert.match(said(JSON.parse(event!.data)).next, /\(cg_list_files\)/)
    }),
  )

  it.scopedLive("carries the operation id that a client gives its call", () =>
    Effect.gen(function* () {
      const { called, url } = yield* serve()
      yield* ask(url, exec({ session_id: own }, { "io.codegen-mcp/operation-id": "mine-1" }))
      assert.strictEqual(called[0]?.[1].id, "mine-1" as OperationId)
    }),
  )

  it.scopedLive("shows sessions as resources, and the files of each under its id", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(({ tool, input }) => {
        const { path, pattern } = input as { path?: string; pattern?: string }
        if (tool === "resource_paths") {
          const paths = ["a b.txt", "src/x.py"].filter((path) => path.startsWith(pattern!.replace("**", "")))
          return Effect.succeed({ ...answer, output: { paths, truncated: pattern === "**" } })
        }
        return Effect.succeed(
          path === "a b.txt"
            ? { ...answer, output: { base64: Buffer.from("text").toString("base64") } }
            : {
                _tag: "Failed",
                state: "failed",
                failure: failureOf(new FileError({ path: path!, reason: "missing" })),
              },
        )
      })
      const read = (uri: string) => ask(url, { method: "resources/read", params: { uri } })
      const { result } = yield* ask(url, { method: "resources/list" })
      const uri = `workspace://${own}/`
      assert.deepStrictEqual(
        result.resources.map((resource: { uri: string }) => resource.uri),
        [uri],
      )
      assert.strictEqual(result.cacheScope, "private")
      const [listed] = (yield* read(uri)).result.contents
      assert.deepInclude(listed, {
        mimeType: "text/uri-list",
        text: `${uri}a%20b.txt\r\n${uri}src/x.py\r\n# ${leftOut}\r\n`,
      })
      const file = yield* read(`${uri}a%20b.txt`)
      assert.deepStrictEqual(file.result.contents, [
        { uri: `${uri}a%20b.txt`, mimeType: "text/plain", text: "text" },
      ])
      for (const missing of [`${uri}none`, `workspace://${foreign}/a%20b.txt`]) {
        const { error } = yield* read(missing)
        assert.deepStrictEqual([error.code, error.data], [-32602, { uri: missing }])
      }
      for (const wrong of ["workspace:///a", "file:///etc/passwd", `${uri}%`]) {
        const { error } = yield* read(wrong)
        assert.deepStrictEqual([error.code, error.data], [-32602, { code: "unknown_resource" }])
      }
      const { resourceTemplates } = (yield* ask(url, { method: "resources/templates/list" })).result
      const complete = (argument: object, context = {}) =>
        Effect.map(
          ask(url, {
            method: "completion/complete",
            params: {
              ref: { type: "ref/resource", uri: resourceTemplates[0].uriTemplate },
              argument,
              context: { arguments: context },
            },
          }),
          ({ result }) => result.completion.values,
        )
      assert.deepStrictEqual(yield* complete({ name: "session_id", value: "s_0" }), [own])
      assert.deepStrictEqual(yield* complete({ name: "session_id", value: "x" }), [])
      assert.deepStrictEqual(yield* complete({ name: "path", value: "src/" }, { session_id: own }), [
        "src/x.py",
      ])
      assert.deepStrictEqual(yield* complete({ name: "path", value: "src/" }), [])
    }),
  )

  it.scopedLive("has its prompts", () =>
    Effect.gen(function* () {
      const { url } = yield* serve()
      const { result } = yield* ask(url, { method: "prompts/list" })
      assert.lengthOf(result.prompts, 3)
      const got = yield* ask(url, {
        method: "prompts/get",
        params: { name: "fix_failing_test", arguments: { command: "pytest -x" } },
      })
      assert.include(got.result.messages[0].content.text, "pytest -x")
      const { error } = yield* ask(url, { method: "prompts/get", params: { name: "none" } })
      assert.strictEqual(error.code, -32602)
    }),
  )

  it.scopedLive("takes a notification, and answers a subscription with nothing to subscribe to", () =>
    Effect.gen(function* () {
      const { url } = yield* serve()
      const { body, headers } = worded({ method: "notifications/cancelled", params: { requestId: 7 } })
      const { id: _, ...notification } = body
      const taken = yield* Http.send(url, { method: "POST", headers, body: JSON.stringify(notification) })
      assert.deepStrictEqual([taken.status, taken.text], [202, ""])
      const listening = yield* EventStream.open(
        url,
        worded({ method: "subscriptions/listen", params: { notifications: { toolsListChanged: true } } }),
      )
      const messages = (yield* EventStream.rest(listening)).map(({ data }) => JSON.parse(data))
      assert.deepStrictEqual(
        messages.map(({ method, params, result }) => [method, params?.notifications, result?.resultType]),
        [
          ["notifications/subscriptions/acknowledged", {}, undefined],
          [undefined, undefined, "complete"],
        ],
      )
    }),
  )
})
