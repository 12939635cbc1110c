import { assert, describe, it } from "@effect/vitest"
import type { CallToolResult, JSONRPCRequest } from "@modelcontextprotocol/sdk/types.js"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { Catalogue } from "../../src/mcp/Catalogue.ts"
import type { AskOwner } from "../../src/mcp/Resources.ts"
import { respond } from "../../src/mcp/McpServer.ts"
import { serverInfo } from "../../src/mcp/ServerInfo.ts"
import { type CallParams, UnknownTool } from "../../src/mcp/ToolCalls.ts"
import { FileError } from "../../src/domain/SandboxError.ts"
import { of, Registry, standard } from "../../src/tools/Registry.ts"

const noTool = () => Effect.dieMessage("no tool is called")

interface Offer {
  readonly askOwner?: AskOwner
  readonly registry?: Layer.Layer<Registry>
}

const ask = (
  request: Omit<JSONRPCRequest, "jsonrpc" | "id"> & { readonly id?: string | number },
  callTool: (params: CallParams) => Effect.Effect<CallToolResult, UnknownTool> = noTool,
  { askOwner, registry }: Offer = {},
) =>
  Effect.flatMap(Catalogue, (catalogue) =>
    respond({ jsonrpc: "2.0", id: 1, ...request } as JSONRPCRequest, catalogue, {
      callTool,
      askOwner: askOwner ?? (() => Effect.dieMessage("no owner is asked")),
      setLevel: () => Effect.dieMessage("no level is set"),
      subscribe: () => Effect.dieMessage("nothing is subscribed to"),
    }),
  ).pipe(
    Effect.provide(Catalogue.layer.pipe(Layer.provide(registry ?? Layer.orDie(Registry.layer)))),
  ) as Effect.Effect<Answer>

interface Answer {
  readonly id: string | number
  readonly result?: Record<string, any>
  readonly error?: { readonly code: number; readonly message: string }
}

const hello = (protocolVersion: string) => ({
  method: "initialize",
  params: { protocolVersion, capabilities: {}, clientInfo: { name: "test", version: "1" } },
})

describe("McpServer", () => {
  it.live("answers initialize with its name, its tools and how to use them", () =>
    Effect.gen(function* () {
      const { result } = yield* ask(hello("2025-06-18"))
      assert.deepStrictEqual(result?.["serverInfo"], serverInfo)
      assert.strictEqual(result?.["protocolVersion"], "2025-06-18")
      assert.deepStrictEqual(result?.["capabilities"], {
        tools: {},
        resources: { subscribe: true },
        prompts: {},
        completions: {},
        logging: {},
      })
      assert.include(result?.["instructions"], "/workspace")
    }),
  )

  it.live("answers a protocol version that it does not know with one that it does", () =>
    Effect.gen(function* () {
      const { result } = yield* ask(hello("1999-01-01"))
      assert.match(result?.["protocolVersion"], /^202\d-\d\d-\d\d$/)
    }),
  )

  it.live("lists the tools without an initialize before it", () =>
    Effect.gen(function* () {
      const { result } = yield* ask({ method: "tools/list" })
      assert.deepStrictEqual(
        result?.["tools"].map((tool: { name: string }) => tool.name),
        standard.listed.map(({ name }) => name),
      )
      assert.notProperty(result, "nextCursor")
    }),
  )

  it.live("answers ping", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* ask({ method: "ping" })).result, {})
    }),
  )

  it.live("refuses methods that it does not have with -32601", () =>
    Effect.gen(function* () {
      for (const method of ["no/such", "tasks/list"]) {
        assert.strictEqual((yield* ask({ method, params: {} })).error?.code, -32601, method)
      }
    }),
  )

  it.live("answers a call that asks for a task as any other, as there are none", () =>
    Effect.gen(function* () {
      const { result } = yield* ask(
        { method: "tools/call", params: { name: "exec", arguments: {}, task: { ttl: 60_000 } } },
        () => Effect.succeed({ content: [{ type: "text", text: "done" }] }),
      )
      assert.deepStrictEqual(result, { content: [{ type: "text", text: "done" }] })
    }),
  )

  it.live("passes a call on and its result back, under the request's own id, 0 too", () =>
    Effect.gen(function* () {
      for (const id of [0, "", "a", 7]) {
        const answer = yield* ask(
          { method: "tools/call", id, params: { name: "exec", arguments: { command: "ls" } } },
          ({ name, arguments: args }) =>
            Effect.succeed({ content: [{ type: "text", text: `${name} ${JSON.stringify(args)}` }] }),
        )
        assert.strictEqual(answer.id, id)
        assert.deepStrictEqual(answer.result?.["content"], [{ type: "text", text: 'exec {"command":"ls"}' }])
      }
    }),
  )

  it.live("answers an unknown tool with -32602 and the names that there are", () =>
    Effect.gen(function* () {
      const { error } = yield* ask({ method: "tools/call", params: { name: "rm" } }, ({ name }) =>
        Effect.fail(new UnknownTool({ tool: name, known: ["exec"] })),
      )
      assert.strictEqual(error?.code, -32602)
      assert.include(error?.message, "exec")
    }),
  )

  it.live("answers a call without a name with -32602 or -32603, and runs nothing", () =>
    Effect.gen(function* () {
      const { error } = yield* ask({ method: "tools/call", params: {} })
      assert.include([-32602, -32603], error?.code)
    }),
  )

  it.live("answers a defect in a tool with -32603 and does not hang", () =>
    Effect.gen(function* () {
      const { error } = yield* ask({ method: "tools/call", params: { name: "exec" } }, () =>
        Effect.dieMessage("broken"),
      )
      assert.strictEqual(error?.code, -32603)
    }),
  )

  it.live("lets go of a call whose request is interrupted", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const endless = Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never).pipe(
        Effect.onInterrupt(() => Deferred.succeed(ended, undefined)),
      )
      const fiber = yield* Effect.fork(ask({ method: "tools/call", params: { name: "exec" } }, () => endless))
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(fiber)
      yield* Deferred.await(ended)
    }),
  )

  it.live("calls tools by the operator's names in what it says of resources", () =>
    Effect.gen(function* () {
      const askOwner = ((tool: { readonly name: string }) =>
        tool.name === "resource_paths"
          ? Effect.succeed({ paths: ["a"], truncated: true })
          : Effect.fail(new FileError({ path: "list_files", reason: "missing" }))) as unknown as AskOwner
      const offer = { askOwner, registry: Layer.succeed(Registry, of(standard.listed, [], "cg_")) }
      const { result } = yield* ask({ method: "resources/list" }, noTool, offer)
      assert.match(result?.["_meta"]["io.codegen-mcp/truncated"], / cg_list_files /)
      const { error } = yield* ask(
        { method: "resources/read", params: { uri: "workspace:///b" } },
        noTool,
        offer,
      )
      assert.match(error?.message ?? "", / cg_list_files/)
    }),
  )
})
