/** The session-less revision by the 2.x client, beside clients of the older ones, through nodes that own no session. */
import { Client, type ClientCapabilities, StreamableHTTPClientTransport } from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import * as Project from "../../scripts/process/Project.ts"
import { operationIdKey } from "../../src/domain/Identity.ts"
import { exec } from "../../src/tools/commands/Exec.ts"
import { listSessions } from "../../src/tools/sessions/ListSessions.ts"
import { readFile } from "../../src/tools/files/ReadFile.ts"
import * as SessionlessEdge from "../support/SessionlessEdge.ts"
import { nodesOf, TestCluster } from "../support/TestCluster.ts"
import * as TestProgram from "../support/TestProgram.ts"
import { until } from "../support/Until.ts"

const hash = (token: string) => createHash("sha256").update(token).digest("hex")

const anne = "token-of-anne"
const ben = "token-of-ben"
const env = { API_TOKENS: `anne:${hash(anne)}, ben:${hash(ben)}` }

interface CallOptions {
  readonly signal?: AbortSignal
  readonly onprogress?: (told: { readonly progress: number; readonly message?: string | undefined }) => void
  readonly operationId?: string
}

/** A 2.x client through the balancer, or at one node, which notes the nodes that answered it. */
const connected = (
  token: string,
  mode: "auto" | "legacy",
  node?: string,
  capabilities: ClientCapabilities = {},
) =>
  Effect.gen(function* () {
    const cluster = yield* TestCluster
    const mcpUrl = node === undefined ? cluster.mcpUrl : `${node}/mcp`
    const nodes: Array<string> = []
    const transport = new StreamableHTTPClientTransport(new URL(mcpUrl), {
      requestInit: { headers: { authorization: `Bearer ${token}` } },
      fetch: async (input, init) => {
        const answer = await fetch(input, init)
        nodes.push(answer.headers.get("x-codegen-node") ?? "none")
        return answer
      },
    })
    const client = new Client({ name: "test", version: "1" }, { capabilities, versionNegotiation: { mode } })
    yield* Effect.acquireRelease(
      Effect.promise(() => client.connect(transport)),
      () => Effect.promise(() => transport.terminateSession().then(() => client.close())),
    )
    const call = (
      name: string,
      given: Record<string, unknown>,
      { operationId, ...options }: CallOptions = {},
    ) =>
      Effect.promise(() =>
        client.callTool(
          {
            name,
            arguments: given,
            ...(operationId === undefined ? {} : { _meta: { [operationIdKey]: operationId } }),
          },
          { timeout: 60_000, ...options },
        ),
      ).pipe(
        Effect.map(({ content: [content], isError, structuredContent }) => ({
          isError: isError === true,
          said: JSON.parse(content?.type === "text" ? content.text : "{}"),
          structuredContent,
        })),
      )
    const opened = Effect.map(call("open_session", {}), ({ said }): string => said.session_id)
    return { client, nodes, call, opened }
  })

/** Processes of the machine whose command line has the mark. */
const marked = () =>
  Number(execFileSync("sh", ["-c", "pgrep -fc '^sleep 876[.]123456' || true"]).toString().trim())

const tree = "(setsid sleep 876.123456 &) ; echo up; sleep 876.123456; echo never"

const askingNodes = { nodes: 3, env, program: TestProgram.make("test/support/asking/main.ts") }

layer(TestCluster.layer(askingNodes), { excludeTestServices: true, timeout: "90 seconds" })(
  "without connections",
  (it) => {
    it.scoped("a client that negotiates works in a session that it opened, through every node", () =>
      Effect.gen(function* () {
        const { call, client, nodes, opened } = yield* connected(anne, "auto")
        assert.strictEqual(client.getProtocolEra(), "modern")
        assert.strictEqual(client.getNegotiatedProtocolVersion(), "2026-07-28")
        const session_id = yield* opened
        for (let n = 1; n <= 6; n++) {
          const { structuredContent } = yield* call("exec", {
            session_id,
            command: `echo ${n} >> n; wc -l < n`,
          })
          assert.deepInclude(structuredContent as object, { status: "exited", stdout: `${n}\n` })
        }
        yield* call("write_file", { session_id, path: "src/a.txt", content: "written" })
        assert.strictEqual(
          (yield* call("read_file", { session_id, path: "src/a.txt" })).said.content,
          "written",
        )
        assert.strictEqual(new Set(nodes).size, 3)

        const uri = `workspace://${session_id}/`
        const { resources } = yield* Effect.promise(() => client.listResources())
        assert.include(
          resources.map((resource) => resource.uri),
          uri,
        )
        const read = (uri: string) =>
          Effect.map(
            Effect.promise(() => client.readResource({ uri })),
            ({ contents: [content] }) => (content !== undefined && "text" in content ? content.text : ""),
          )
        assert.strictEqual(yield* read(uri), `${uri}n\r\n${uri}src/a.txt\r\n`)
        assert.strictEqual(yield* read(`${uri}src/a.txt`), "written")
        assert.isTrue((yield* call("close_session", { session_id })).said.closed)
      }),
    )

    it.scoped(
      "a client that listens is told of the files it named, in two sessions, and of nothing else",
      () =>
        Effect.gen(function* () {
          const { call, client, opened } = yield* connected(anne, "auto")
          const [one, other] = [yield* opened, yield* opened]
          const wanted = [
            `workspace://${one}/a.txt`,
            `workspace://${other}/b%20c.txt`,
            // The list of a session's files.
            `workspace://${other}/`,
          ]
          const write = (session_id: string, path: string) =>
            call("write_file", { session_id, path, content: `${Math.random()}` })
          // One session has a sandbox as it begins; the other starts one later.
          yield* write(one, "a.txt")
          const told: Array<string> = []
          const heard = Effect.sync(() => told)
          client.setNotificationHandler("notifications/resources/updated", ({ params }) => {
            told.push(params.uri)
          })
          const listening = yield* Effect.acquireRelease(
            Effect.promise(() => client.listen({ resourceSubscriptions: wanted })),
            ({ close }) => Effect.promise(close),
          )
          assert.deepStrictEqual(listening.honoredFilter, { resourceSubscriptions: wanted })
          yield* write(one, "other.txt")
          yield* write(one, "a.txt")
          yield* until(heard, (told) => told.length > 0)
          assert.deepStrictEqual(told.splice(0), wanted.slice(0, 1))
          yield* write(other, "b c.txt")
          yield* until(heard, (told) => new Set(told).size === 2)
          assert.sameMembers([...new Set(told.splice(0))], wanted.slice(1))
          yield* write(other, "else.txt")
          yield* until(heard, (told) => told.includes(wanted[2] ?? ""))
          assert.deepStrictEqual([...new Set(told)], wanted.slice(2))
          for (const session_id of [one, other]) yield* call("close_session", { session_id })
        }),
    )

    it.scoped("a client cannot listen to a session of another principal, or to what is no file", () =>
      Effect.gen(function* () {
        const owner = yield* connected(anne, "auto")
        const { client } = yield* connected(ben, "auto")
        const session_id = yield* owner.opened
        const file = `workspace://${session_id}/a`
        for (const [uris, problem] of [
          [[file], /There is no session/],
          [["workspace://s_nothing/a"], /There is no session/],
          [["file:///etc/passwd"], /is no/],
          [Array.from({ length: 101 }, () => file), /may have 100 subscriptions/],
        ] as const) {
          const refusal = yield* Effect.flip(
            Effect.tryPromise(() => client.listen({ resourceSubscriptions: [...uris] })),
          )
          assert.match(String(refusal.cause), problem)
        }
        yield* owner.call("close_session", { session_id })
      }),
    )

    it.scoped("clients of three kinds share a principal's sessions, on the same URL", () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        const modern = yield* connected(anne, "auto")
        const older = yield* connected(anne, "legacy")
        const oldest = yield* cluster.client({ token: anne })
        assert.strictEqual(older.client.getProtocolEra(), "legacy")
        const session_id = yield* modern.opened
        yield* modern.call("write_file", { session_id, path: "shared", content: "modern\n" })
        yield* older.call("exec", { session_id, command: "echo older >> shared" })
        yield* oldest.ask(exec, { command: "echo oldest >> shared" }, { session: session_id })
        const { content } = yield* oldest.ask(readFile, { path: "shared" }, { session: session_id })
        assert.strictEqual(content, "modern\nolder\noldest\n")
        const read = yield* modern.call("read_file", { session_id, path: "shared" })
        assert.strictEqual(read.said.content, content)
        // Only a connection has a session of its own.
        assert.strictEqual((yield* older.call("exec", { command: "ls" })).said.stdout, "")
        assert.strictEqual((yield* modern.call("exec", { command: "ls" })).said.code, "session_required")
        yield* modern.call("close_session", { session_id })
      }),
    )

    it.scoped("a session does not exist for another principal", () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        const own = yield* connected(anne, "auto")
        const other = yield* connected(ben, "auto")
        const session_id = yield* own.opened
        yield* own.call("write_file", { session_id, path: "secret", content: "x" })
        for (const [tool, given] of [
          ["exec", { command: "cat secret" }],
          ["read_file", { path: "secret" }],
          ["session_info", {}],
          ["close_session", {}],
        ] as const) {
          const { isError, said } = yield* other.call(tool, { session_id, ...given })
          assert.deepStrictEqual([isError, said.code], [true, "session_not_found"], tool)
        }
        const reading = Effect.tryPromise(() =>
          other.client.readResource({ uri: `workspace://${session_id}/secret` }),
        )
        assert.strictEqual((yield* Effect.either(reading))._tag, "Left")
        const { sessions } = yield* (yield* cluster.client({ token: ben })).ask(listSessions, {})
        assert.notInclude(
          sessions.map((session) => session.session_id),
          session_id,
        )
        assert.strictEqual((yield* own.call("read_file", { session_id, path: "secret" })).said.content, "x")
      }),
    )

    it.scoped(
      "a client that negotiates on a pipe is served by a connection, which has a session of its own",
      () =>
        Effect.gen(function* () {
          const { mcpUrl } = yield* TestCluster
          const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode: "auto" } })
          const transport = new StdioClientTransport({
            command: process.execPath,
            args: [Project.built("main.js"), "stdio", "--url", mcpUrl],
            env: { CODEGEN_MCP_TOKEN: anne },
          })
          yield* Effect.acquireRelease(
            Effect.promise(() => client.connect(transport)),
            () => Effect.promise(() => client.close()),
          )
          assert.strictEqual(client.getProtocolEra(), "legacy")
          const { structuredContent } = yield* Effect.promise(() =>
            client.callTool({ name: "exec", arguments: { command: "echo on" } }),
          )
          assert.deepInclude(structuredContent as object, { stdout: "on\n" })
        }),
    )

    it.scoped("a call tells its output as it comes", () =>
      Effect.gen(function* () {
        const { call, opened } = yield* connected(anne, "auto")
        const session_id = yield* opened
        const told: Array<{ readonly progress: number; readonly message?: string | undefined }> = []
        const { said } = yield* call(
          "exec",
          { session_id, command: "for i in $(seq 10); do echo line $i; sleep 0.1; done" },
          { onprogress: (progress) => void told.push(progress) },
        )
        assert.strictEqual(said.exit_code, 0)
        assert.isAbove(told.length, 5)
        assert.strictEqual(told.map(({ message }) => message).join(""), said.stdout)
        assert.isTrue(told.every(({ progress }, at) => at === 0 || progress > told[at - 1]!.progress))
      }),
    )

    it.scoped("a client that goes away ends its call on every node, with the whole process tree", () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        const { call, opened } = yield* connected(anne, "auto")
        const session_id = yield* opened
        const before = marked()
        for (const { id, url } of yield* nodesOf(cluster)) {
          const client = yield* connected(anne, "auto", url)
          const leaving = new AbortController()
          const running = yield* Effect.fork(
            Effect.exit(
              client.call(
                "exec",
                { session_id, command: tree },
                { signal: leaving.signal, operationId: `gone-${id}` },
              ),
            ),
          )
          yield* until(Effect.sync(marked), (count) => count === before + 2)
          leaving.abort()
          yield* running
          yield* until(Effect.sync(marked), (count) => count === before)
          yield* until(
            cluster.sql<{ state: string }>`SELECT state FROM operation WHERE id = ${`gone-${id}`}`,
            ([row]) => row?.state === "cancelled",
          )
        }
        const { said } = yield* call("exec", { session_id, command: "echo on" })
        assert.strictEqual(said.stdout, "on\n")
      }),
    )

    it.scoped("a command that was answered goes on by its id, whatever becomes of the client", () =>
      Effect.gen(function* () {
        const first = yield* connected(anne, "auto")
        const session_id = yield* first.opened
        const command = "for i in 1 2 3; do echo line $i; sleep 0.3; done"
        const { said } = yield* first.call("exec", { session_id, command, wait_ms: 0 })
        assert.strictEqual(said.status, "running")
        yield* Effect.promise(() => first.client.close())
        const second = yield* connected(anne, "auto")
        const { operation_id } = said
        const reading = { session_id, operation_id, wait_ms: 10_000 }
        let { said: seen } = yield* second.call("read_output", reading)
        let output = seen.stdout
        while (seen.status === "running") {
          const { stdout_cursor, stderr_cursor } = seen
          seen = (yield* second.call("read_output", { ...reading, stdout_cursor, stderr_cursor })).said
          output += seen.stdout
        }
        assert.deepStrictEqual([seen.status, output], ["exited", "line 1\nline 2\nline 3\n"])
        // A repeat of the same call, by its operation's id, is not run again.
        const again = { operationId: "once" }
        const ran = { session_id, command: "echo ran >> runs; wc -l < runs" }
        assert.strictEqual((yield* second.call("exec", ran, again)).said.stdout, "1\n")
        assert.strictEqual((yield* second.call("exec", ran, again)).said.stdout, "1\n")
      }),
    )

    it.scoped(
      "a tool that asks goes on with what its client says, whichever nodes the two of them reach",
      () =>
        Effect.gen(function* () {
          const capabilities = { elicitation: { form: {} }, sampling: {} }
          const { call, client, nodes, opened } = yield* connected(anne, "auto", undefined, capabilities)
          client.setRequestHandler("elicitation/create", ({ params }) => ({
            action: "accept",
            content: { name: params.message.includes("tea") ? "Ann" : "nobody" },
          }))
          client.setRequestHandler("sampling/createMessage", ({ params: { messages } }) => {
            const [content] = [messages[0]!.content].flat()
            return {
              role: "assistant",
              model: "test",
              content: { type: "text", text: `o ${content?.type === "text" ? content.text : ""}` },
            }
          })
          const session_id = yield* opened
          nodes.length = 0
          const { said } = yield* call("interview", { session_id, topic: "tea" })
          assert.deepStrictEqual(said, { name: "Ann", poem: "o Ann" })
          assert.strictEqual(new Set(nodes).size, 3)
          const { said: runs } = yield* call("exec", { session_id, command: "cat interviews" })
          assert.strictEqual(runs.stdout, "tea\n")
        }),
    )

    it.scoped("a question is answered by its own principal alone, and its call runs once", () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        const { call, opened } = yield* connected(anne, "auto")
        const session_id = yield* opened
        const urls = (yield* nodesOf(cluster)).map(({ url }) => `${url}/mcp`)
        let sent = 0
        /** Sends it to the next node. */
        const ask = (token: string, more: Record<string, unknown> = {}) =>
          SessionlessEdge.ask(urls[sent++ % 3]!, {
            method: "tools/call",
            headers: { authorization: `Bearer ${token}`, accept: "application/json" },
            params: {
              name: "interview",
              arguments: { session_id, topic: "milk" },
              ...more,
              _meta: {
                "io.modelcontextprotocol/clientCapabilities": { elicitation: {}, sampling: {} },
              },
            },
          })
        const { result: first } = yield* ask(anne)
        const named = {
          requestState: first.requestState,
          inputResponses: { question: { action: "accept", content: { name: "Ann" } } },
        }
        assert.strictEqual(SessionlessEdge.said(yield* ask(ben, named)).code, "session_not_found")
        const { result: second } = yield* ask(anne, named)
        // Its answer was lost.
        assert.deepStrictEqual((yield* ask(anne, named)).result, second)
        const poem = {
          requestState: second.requestState,
          inputResponses: {
            question: { role: "assistant", model: "m", content: { type: "text", text: "o" } },
          },
        }
        for (let times = 0; times < 2; times++) {
          const { result } = yield* ask(anne, poem)
          assert.deepStrictEqual(result.structuredContent, { name: "Ann", poem: "o" })
        }
        const { said: runs } = yield* call("exec", { session_id, command: "cat interviews" })
        assert.strictEqual(runs.stdout, "milk\n")
      }),
    )

    // The last one: a node dies.
    it.scoped(
      "a call ends whose node is killed, with the whole process tree, unless it is taken up again",
      () =>
        Effect.gen(function* () {
          const cluster = yield* TestCluster
          const main = yield* connected(anne, "auto")
          const session_id = yield* main.opened
          const { said: info } = yield* main.call("session_info", { session_id })
          const [dying, living] = (yield* nodesOf(cluster)).filter(({ id }) => id !== info.owner_node)
          const before = marked()
          const [lost, other] = [
            yield* connected(anne, "auto", dying!.url),
            yield* connected(anne, "auto", living!.url),
          ]
          const run = (client: typeof lost, command: string, operationId: string) =>
            Effect.fork(Effect.exit(client.call("exec", { session_id, command }, { operationId })))
          const long = "touch long; sleep 8; echo whole"
          yield* run(lost, tree, "left-alone")
          yield* run(lost, long, "taken-up")
          const waited = yield* run(other, "sleep 8; echo whole", "waited-for")
          yield* until(Effect.sync(marked), (count) => count === before + 2)
          yield* until(
            main.call("exec", { session_id, command: "ls long" }),
            ({ said }) => said.exit_code === 0,
          )
          yield* cluster.kill(dying!.id)
          const again = yield* run(other, long, "taken-up")
          // NODE_EXPIRY is 5 s here.
          yield* until(Effect.sync(marked), (count) => count === before, "8 seconds")
          // Its files are saved before its end is recorded.
          const states = yield* until(
            cluster.sql<{ id: string; state: string }>`
          SELECT id, state FROM operation WHERE id IN ('left-alone', 'taken-up', 'waited-for') ORDER BY id`,
            ([leftAlone]) => leftAlone?.state !== "running",
          )
          assert.deepStrictEqual(
            states.map(({ state }) => state),
            ["cancelled", "running", "running"],
          )
          for (const call of [again, waited]) {
            assert.strictEqual((yield* Effect.flatten(Fiber.join(call))).said.stdout, "whole\n")
          }
        }),
    )
  },
)
