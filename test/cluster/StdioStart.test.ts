/** The real `codegen-mcp stdio` where it cannot begin: one sentence for its user, and one for its client. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import * as Port from "../../scripts/process/Port.ts"
import * as Project from "../../scripts/process/Project.ts"
import * as StdioClient from "../support/StdioClient.ts"

describe("codegen-mcp stdio, at its start,", () => {
  const refusing = Effect.map(
    Effect.acquireRelease(
      Effect.async<Server>((resume) => {
        const server = createServer((_, response) => void response.writeHead(401).end())
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => void server.close()),
    ),
    (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
  )

  it.scopedLive("says in one sentence that a token is wrong, to its client and its user, and goes on", () =>
    Effect.gen(function* () {
      const bridge = yield* StdioClient.pipe(yield* refusing, [], { CODEGEN_MCP_TOKEN: "a-secret-token" })
      yield* bridge.write(StdioClient.hello())
      const { error, id } = yield* bridge.next
      assert.strictEqual(id, 0)
      assert.match(error!.message, /^The cluster refuses the token \(401\): set CODEGEN_MCP_TOKEN/)
      assert.strictEqual(bridge.log(), `codegen-mcp: ${error!.message}\n`)
      const shown = execFileSync("ps", ["-o", "args=", "-p", String(bridge.child.pid)]).toString()
      assert.notInclude(shown + bridge.log(), "a-secret-token")
      bridge.child.stdin?.end()
      assert.deepStrictEqual(yield* bridge.ended, { code: 0, signal: null })
    }),
  )

  it.scopedLive("says within the ten seconds that clients wait that nobody answers", () =>
    Effect.gen(function* () {
      const bridge = yield* StdioClient.pipe(`http://127.0.0.1:${yield* Port.free}/mcp`)
      yield* bridge.write(StdioClient.hello())
      const { error } = yield* Effect.timeout(bridge.next, "10 seconds")
      assert.match(error!.message, /^The cluster cannot be reached \(ECONNREFUSED\): check --url/)
      assert.strictEqual(bridge.log(), `codegen-mcp: ${error!.message}\n`)
    }),
  )

  for (const [what, args, sentence] of [
    ["a token and no address", ["--token", "geheim"], /^codegen-mcp: --token goes with --url\. .*\n$/],
    ["no web address", ["--url", "file:///etc"], /^codegen-mcp: The cluster's URL must be .*\n$/],
    ["a user in the address", ["--url", "http://u:geheim@h/mcp"], /without user or password.*\n$/],
    ["an unknown option", ["--token", "geheim", "--verbose"], /^codegen-mcp: The options are .*\n$/],
    ["a bad name", ["--url", "http://h/mcp", "--session", "a b"], /^codegen-mcp: --session takes .*\n$/],
    ["a bad token", ["--url", "http://h/mcp", "--token", "geheim geheim"], /^codegen-mcp: The token .*\n$/],
  ] as const) {
    it(`ends with code 2 and one sentence where it is given ${what}`, () => {
      const { status, stderr, stdout } = spawnSync(process.execPath, [
        Project.built("main.js"),
        "stdio",
        ...args,
      ])
      assert.deepStrictEqual([status, stdout.toString()], [2, ""])
      assert.match(stderr.toString(), sentence)
      assert.strictEqual(stderr.toString().split("\n").length, 2)
      assert.notInclude(stderr.toString(), "geheim")
    })
  }
})
