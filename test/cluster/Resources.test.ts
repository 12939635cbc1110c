/** Resources, prompts and completions by the SDK's client, through nodes that do not own the session. */
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { TestCluster } from "../support/TestCluster.ts"

const connected = Effect.gen(function* () {
  const { mcpUrl } = yield* TestCluster
  const transport = new StreamableHTTPClientTransport(new URL(mcpUrl))
  const client = new Client({ name: "test", version: "1" })
  return yield* Effect.acquireRelease(
    Effect.promise(() => client.connect(transport as never).then(() => client)),
    () => Effect.promise(() => transport.terminateSession().then(() => client.close())),
  )
})

layer(TestCluster.layer({ nodes: 3 }), { excludeTestServices: true, timeout: "90 seconds" })(
  "the workspace",
  (it) => {
    it.scoped("is listed, read and completed as resources, as its commands leave it", () =>
      Effect.gen(function* () {
        const client = yield* connected
        const command =
          "mkdir -p src && echo 'print(1)' > src/main.py && printf '\\211PNG\\0' > logo.png && " +
          "echo ignored/ > .gitignore && mkdir ignored && touch ignored/x && ln -s /etc/passwd link"
        yield* Effect.promise(() => client.callTool({ name: "exec", arguments: { command } }))
        const { resources } = yield* Effect.promise(() => client.listResources())
        const names = resources.map(({ name }) => name)
        assert.includeMembers(names, [".gitignore", "logo.png", "src/main.py"])
        assert.notInclude(names, "ignored/x")
        const read = (uri: string) => Effect.tryPromise(() => client.readResource({ uri }))
        assert.deepStrictEqual((yield* read("workspace:///src/main.py")).contents, [
          { uri: "workspace:///src/main.py", mimeType: "text/x-python", text: "print(1)\n" },
        ])
        assert.deepInclude((yield* read("workspace:///logo.png")).contents[0], { blob: "iVBORwA=" })
        for (const uri of ["workspace:///link", "workspace:///../etc/passwd", "workspace:///none"]) {
          assert.isTrue((yield* Effect.either(read(uri)))._tag === "Left", uri)
        }
        const { resourceTemplates } = yield* Effect.promise(() => client.listResourceTemplates())
        const { completion } = yield* Effect.promise(() =>
          client.complete({
            ref: { type: "ref/resource", uri: resourceTemplates[0]!.uriTemplate },
            argument: { name: "path", value: "src/" },
          }),
        )
        assert.deepStrictEqual(completion.values, ["src/main.py"])
      }),
    )

    it.scoped("comes with prompts that say how to work in it", () =>
      Effect.gen(function* () {
        const client = yield* connected
        const { prompts } = yield* Effect.promise(() => client.listPrompts())
        assert.deepStrictEqual(
          prompts.map(({ name }) => name),
          ["start_project", "fix_failing_test", "review_change"],
        )
        const { messages } = yield* Effect.promise(() =>
          client.getPrompt({ name: "fix_failing_test", arguments: { command: "pytest -x" } }),
        )
        assert.include(JSON.stringify(messages), "pytest -x")
      }),
    )
  },
)
