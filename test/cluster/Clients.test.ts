/** Clients that others wrote, before a cluster behind its balancer: the Inspector's command line, and the SDK's. */
import { assert, describe, layer } from "@effect/vitest"
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js"
import { Effect } from "effect"
import * as Inspector from "../support/Inspector.ts"
import { TestCluster } from "../support/TestCluster.ts"

const missing = await Effect.runPromise(Inspector.missing)
if (missing !== undefined) console.warn(`The Inspector is not tested: ${missing}`)

const prompts = ["fix_failing_test", "review_change", "start_project"]

layer(TestCluster.layer({ nodes: 3 }), { excludeTestServices: true, timeout: "90 seconds" })(
  "a client",
  (it) => {
    it.scoped("of the SDK's 1.x lists, calls and reads", () =>
      Effect.gen(function* () {
        const { mcpUrl } = yield* TestCluster
        const client = new Client({ name: "sdk", version: "1.0.0" })
        const transport = new StreamableHTTPClientTransport(new URL(mcpUrl))
        yield* Effect.acquireRelease(
          Effect.promise(() => client.connect(transport as never)),
          () => Effect.promise(() => transport.terminateSession().then(() => client.close())),
        )
        const { tools } = yield* Effect.promise(() => client.listTools())
        assert.includeMembers(
          tools.map(({ name }) => name),
          ["exec", "read_file", "write_file"],
        )
        const { structuredContent } = yield* Effect.promise(
          () =>
            client.callTool({
              name: "exec",
              arguments: { command: "echo hello | tee hello.txt" },
            }) as Promise<CallToolResult>,
        )
        assert.deepInclude(structuredContent, { exit_code: 0, stdout: "hello\n" })
        const { resources } = yield* Effect.promise(() => client.listResources())
        assert.include(
          resources.map(({ uri }) => uri),
          "workspace:///hello.txt",
        )
        const { contents } = yield* Effect.promise(() =>
          client.readResource({ uri: "workspace:///hello.txt" }),
        )
        assert.deepInclude(contents[0], { text: "hello\n" })
        const listed = yield* Effect.promise(() => client.listPrompts())
        assert.deepStrictEqual(listed.prompts.map(({ name }) => name).sort(), prompts)
      }),
    )

    describe.skipIf(missing !== undefined)("of the Inspector", () => {
      it.scoped("lists, calls and reads", () =>
        Effect.gen(function* () {
          const { mcpUrl } = yield* TestCluster
          const url = `${mcpUrl}?session=inspected`
          const { tools } = yield* Inspector.run(url, "--method", "tools/list")
          assert.includeMembers(
            tools.map(({ name }: { name: string }) => name),
            ["exec", "read_file", "write_file"],
          )
          const call = ["--method", "tools/call", "--tool-name", "exec"]
          const command = "command=echo hello | tee hello.txt"
          const { structuredContent } = yield* Inspector.run(url, ...call, "--tool-arg", command)
          assert.deepInclude(structuredContent, { exit_code: 0, stdout: "hello\n" })
          const { resources } = yield* Inspector.run(url, "--method", "resources/list")
          assert.include(
            resources.map(({ uri }: { uri: string }) => uri),
            "workspace:///hello.txt",
          )
          const read = ["--method", "resources/read", "--uri", "workspace:///hello.txt"]
          const { contents } = yield* Inspector.run(url, ...read)
          assert.deepInclude(contents[0], { text: "hello\n" })
          const listed = yield* Inspector.run(url, "--method", "prompts/list")
          assert.deepStrictEqual(listed.prompts.map(({ name }: { name: string }) => name).sort(), prompts)
        }),
      )
    })
  },
)
