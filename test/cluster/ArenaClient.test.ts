/**
 * PromptKit Arena's pattern of calls, as recorded of its version 1.5.9, before a cluster: protocol 2025-06-18, no GET
 * stream, no DELETE, the calls of one reply at once, calls that are sent again, only the first text of a result read.
 */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import * as Port from "../../scripts/process/Port.ts"
import * as Project from "../../scripts/process/Project.ts"
import * as EventStream from "../support/EventStream.ts"
import * as Http from "../support/Http.ts"
import * as StdioClient from "../support/StdioClient.ts"
import { TestCluster } from "../support/TestCluster.ts"
import { until } from "../support/Until.ts"

interface Answer {
  readonly id?: number
  readonly result?: {
    readonly tools?: ReadonlyArray<{ readonly name: string }>
    readonly content?: ReadonlyArray<{ readonly text?: string }>
    readonly isError?: boolean
  }
  readonly error?: { readonly message: string }
}

/** What Arena has of a transport: it writes a message, and takes the next one that is an answer. */
interface Transport {
  readonly write: (message: object) => Effect.Effect<void>
  readonly next: Effect.Effect<Answer>
}

/** Arena's way to speak: ids count up from 1, also those of what is sent again. */
const speak = ({ next, write }: Transport) => {
  let last = 0
  const answers = new Map<number, Answer>()
  const send = (method: string, params?: object) =>
    Effect.suspend(() => {
      const id = ++last
      return Effect.as(write({ jsonrpc: "2.0", id, method, ...(params === undefined ? {} : { params }) }), id)
    })
  const answerTo = (id: number): Effect.Effect<Answer> =>
    Effect.suspend(() => {
      const answer = answers.get(id)
      if (answer !== undefined) return Effect.succeed(answer)
      return Effect.zipRight(
        Effect.map(next, (answer) => answers.set(answer.id ?? 0, answer)),
        answerTo(id),
      )
    })
  const ask = (method: string, params?: object) => Effect.flatMap(send(method, params), answerTo)
  const call = (name: string, input: object) => send("tools/call", { name, arguments: input })
  const textOf = ({ result }: Answer) => result?.content?.[0]?.text ?? ""
  return {
    call,
    greet: Effect.gen(function* () {
      const { error } = yield* ask("initialize", {
        protocolVersion: "2025-06-18",
        capabilities: { elicitation: {} },
        clientInfo: { name: "promptkit", version: "0.1.0" },
      })
      assert.isUndefined(error)
    }),
    /** It lists tools twice, and reads one page. */
    tools: Effect.zipRight(ask("tools/list"), ask("tools/list")).pipe(
      Effect.map(({ result }) => result?.tools?.map(({ name }) => name) ?? []),
    ),
    textFor: (id: number) => Effect.map(answerTo(id), textOf),
    answerTo,
    /** The calls of one reply of the model, and their texts. */
    reply: (calls: ReadonlyArray<readonly [name: string, input: object]>) =>
      Effect.flatMap(
        Effect.forEach(calls, ([name, input]) => call(name, input)),
        Effect.forEach((id) => Effect.map(answerTo(id), textOf)),
      ),
  }
}

const overStdio = Effect.gen(function* () {
  const { mcpUrl } = yield* TestCluster
  const pipe = yield* StdioClient.pipe(mcpUrl)
  const write = (message: object) => pipe.write(JSON.stringify(message))
  const arena = speak({ write, next: pipe.next as Effect.Effect<Answer> })
  yield* arena.greet
  yield* write({ jsonrpc: "2.0", method: "notifications/initialized" })
  return { ...arena, pipe }
})

/** The program of the bridge's image. */
const bridge = Effect.gen(function* () {
  const { mcpUrl } = yield* TestCluster
  const port = yield* Port.free
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [Project.built("bridge/bridge.js")], {
        env: { CODEGEN_MCP_URL: mcpUrl, CODEGEN_MCP_PORT: String(port) },
        stdio: "ignore",
      }),
    ),
    (child) => Effect.sync(() => void child.kill("SIGKILL")),
  )
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve))
  const url = `http://localhost:${port}`
  // Arena asks until it is answered, and lets go.
  const health = Effect.scoped(EventStream.open(`${url}/sse`, { method: "GET", headers: {} }))
  yield* until(
    Effect.timeoutOption(health, "500 millis"),
    (found) => found._tag === "Some" && found.value.status === 200,
  )
  return { child, url, ended: Effect.promise(() => ended) }
})

const overSse = (url: string) =>
  Effect.gen(function* () {
    const stream = yield* EventStream.open(`${url}/sse`, { method: "GET", headers: {} })
    const endpoint = (yield* stream.next)?.data ?? ""
    const arena = speak({
      write: (message) =>
        Effect.map(
          Http.send(url + endpoint, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify(message),
          }),
          ({ status }) => assert.strictEqual(status, 202),
        ),
      next: Effect.map(stream.next, (event) => JSON.parse(event?.data ?? "null") as Answer),
    })
    yield* arena.greet
    return { ...arena, stream }
  })

/** Connections and open sessions that came since; clients that are killed leave theirs for a while. */
const since = Effect.gen(function* () {
  const { sql } = yield* TestCluster
  const open = Effect.map(
    sql<{ id: string }>`SELECT id FROM connection UNION ALL SELECT id FROM session WHERE closed_at IS NULL`,
    (rows) => rows.map(({ id }) => id),
  )
  const before = new Set(yield* open)
  return Effect.map(open, (ids) => ids.filter((id) => !before.has(id)))
})

layer(TestCluster.layer({ nodes: 3 }), { excludeTestServices: true, timeout: "90 seconds" })(
  "a client that calls as PromptKit Arena does",
  (it) => {
    it.scoped("works over stdio, with only the first text of results, and ends with its standard input", () =>
      Effect.gen(function* () {
        const opened = yield* since
        const { pipe, reply, tools } = yield* overStdio
        assert.includeMembers(yield* tools, ["exec", "read_file", "write_file"])
        yield* reply([
          ["write_file", { path: "calc.py", content: "def add(a, b):\n    return a - b\n" }],
          [
            "write_file",
            { path: "test_calc.py", content: "from calc import add\n\ndef test(): assert add(2, 3) == 5\n" },
          ],
        ])
        const [code, red] = yield* reply([
          ["read_file", { path: "calc.py" }],
          ["exec", { command: "python3 -m pytest -q" }],
        ])
        assert.include(code, "return a - b")
        assert.include(red, '"exit_code":1')
        yield* reply([
          ["write_file", { path: "calc.py", content: "def add(a, b):\n    return b + a  # sum\n" }],
        ])
        const [green] = yield* reply([["exec", { command: "python3 -m pytest -q" }]])
        assert.include(green, '"exit_code":0')
        pipe.child.stdin?.end()
        assert.deepStrictEqual(yield* pipe.ended, { code: 0, signal: null })
        assert.deepStrictEqual(yield* opened, [])
      }),
    )

    it.scoped("may send a call again, four times in all, while the first runs: it runs once", () =>
      Effect.gen(function* () {
        const { call, reply, textFor } = yield* overStdio
        const slow = { command: "echo run >> runs; sleep 6; echo done" }
        const first = yield* call("exec", slow)
        const repeats = yield* Effect.forEach([1, 2, 3], () =>
          Effect.delay(call("exec", slow), "1300 millis"),
        )
        for (const id of [first, ...repeats]) assert.include(yield* textFor(id), "done")
        const [runs] = yield* reply([["exec", { command: "wc -l < runs" }]])
        assert.include(runs, '"stdout":"1\\n"')
      }),
    )

    it.scoped("may send the very same request again at once: it runs once", () =>
      Effect.gen(function* () {
        const { pipe, reply } = yield* overStdio
        const request = JSON.stringify({
          jsonrpc: "2.0",
          id: 77,
          method: "tools/call",
          params: { name: "exec", arguments: { command: "echo run >> runs; sleep 1" } },
        })
        yield* Effect.forEach([1, 2, 3, 4], () => pipe.write(request))
        for (let count = 0; count < 4; count++) assert.strictEqual((yield* pipe.next).id, 77)
        const [runs] = yield* reply([["exec", { command: "wc -l < runs" }]])
        assert.include(runs, '"stdout":"1\\n"')
      }),
    )

    it.scoped("may want the same call twice in one reply: it runs twice", () =>
      Effect.gen(function* () {
        const { reply } = yield* overStdio
        const same = ["exec", { command: "echo run >> runs; sleep 2" }] as const
        yield* reply([same, same])
        const [runs] = yield* reply([["exec", { command: "wc -l < runs" }]])
        assert.include(runs, '"stdout":"2\\n"')
      }),
    )

    it.scoped("is answered before it gives up, where a command takes longer, and goes on by its id", () =>
      Effect.gen(function* () {
        const { reply } = yield* overStdio
        const [text] = yield* reply([["exec", { command: "echo begun; sleep 22; echo done" }]])
        const { operation_id, status, stdout } = JSON.parse(text!) as Record<string, string>
        assert.deepStrictEqual([status, stdout], ["running", "begun\n"])
        const [end] = yield* reply([["read_output", { operation_id, stdout_cursor: 6, wait_ms: 10_000 }]])
        assert.include(end, "done")
      }),
    )

    it.scoped("works over SSE by a container's bridge, which it finds by asking; each has a sandbox", () =>
      Effect.gen(function* () {
        const opened = yield* since
        const [one, two] = yield* Effect.all([bridge, bridge], { concurrency: 2 })
        const [mine, other] = yield* Effect.all([overSse(one.url), overSse(two.url)])
        assert.includeMembers(yield* mine.tools, ["exec", "read_file", "write_file"])
        yield* mine.reply([
          ["write_file", { path: "a", content: "1" }],
          ["exec", { command: "touch b" }],
          ["exec", { command: "touch c" }],
        ])
        const files = [["exec", { command: "ls" }]] as const
        assert.include((yield* mine.reply(files))[0], '"stdout":"a\\nb\\nc\\n"')
        assert.include((yield* other.reply(files))[0], '"stdout":""')
        yield* mine.stream.cut
        yield* until(opened, (ids) => ids.length === 2)
        // As `docker stop` does.
        two.child.kill("SIGTERM")
        yield* two.ended
        assert.deepStrictEqual(yield* opened, [])
      }),
    )

    it.scoped("is alone to reach a bridge: no page of another origin, and no other name", () =>
      Effect.gen(function* () {
        const { url } = yield* bridge
        for (const headers of [{ host: "evil.example" }, { origin: "https://evil.example" }] as const) {
          assert.strictEqual((yield* Http.send(`${url}/sse`, { headers })).status, 403)
        }
        const lost = yield* Http.send(`${url}/message?id=c_0`, { method: "POST", body: "{}" })
        assert.strictEqual(lost.status, 404)
      }),
    )

    // The last one: the session that it loses is left.
    it.scoped("is told in a result that its session is lost, so that it does not repeat the call", () =>
      Effect.gen(function* () {
        const { sql } = yield* TestCluster
        const { answerTo, call, reply } = yield* overStdio
        yield* reply([["write_file", { path: "lost", content: "" }]])
        yield* sql`DELETE FROM connection`
        const { result } = yield* answerTo(yield* call("list_files", {}))
        assert.isTrue(result?.isError)
        assert.match(result?.content?.[0]?.text ?? "", /its session and all files.* was not run again/s)
      }),
    )
  },
)
