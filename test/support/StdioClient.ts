/** The SDK's client on the pipe of a real `codegen-mcp stdio`, as a resource of the test. */
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js"
import type { CallToolResult, Progress } from "@modelcontextprotocol/sdk/types.js"
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { Effect, Queue } from "effect"
import * as Project from "../../scripts/process/Project.ts"

interface StdioClient {
  readonly pid: number
  readonly client: Client
  /** What the program said on standard error. */
  readonly log: () => string
  /** Calls a tool, and gives its structured content; a failure as the text that the model reads. */
  readonly call: (
    name: string,
    input: Record<string, unknown>,
    options?: {
      readonly onprogress?: (progress: Progress) => void
      readonly signal?: AbortSignal
    },
  ) => Effect.Effect<Record<string, unknown>>
}

const program = (url: string | undefined, args: ReadonlyArray<string>) => [
  Project.built("main.js"),
  "stdio",
  ...(url === undefined ? [] : ["--url", url]),
  ...args,
]

/** Connects; the scope's end closes the pipe. */
export const open = (url: string, args: ReadonlyArray<string> = []) =>
  Effect.gen(function* () {
    const transport = new StdioClientTransport({
      command: process.execPath,
      args: program(url, args),
      stderr: "pipe",
    })
    let log = ""
    transport.stderr?.on("data", (data: Buffer) => (log += data.toString()))
    const client = new Client({ name: "codegen-mcp-tests", version: "0.0.0" })
    yield* Effect.acquireRelease(
      Effect.promise(() => client.connect(transport as never)),
      () => Effect.promise(() => client.close()),
    )
    const stdio: StdioClient = {
      pid: transport.pid ?? 0,
      client,
      log: () => log,
      call: (name, input, options) =>
        Effect.promise(
          () =>
            client.callTool({ name, arguments: input }, undefined, {
              timeout: 60_000,
              ...options,
            }) as Promise<CallToolResult>,
        ).pipe(
          Effect.map(({ content, structuredContent }) => {
            const [said] = content
            return structuredContent ?? { text: said?.type === "text" ? said.text : "" }
          }),
        ),
    }
    return stdio
  })

interface Pipe {
  readonly child: ChildProcess
  readonly write: (line: string) => Effect.Effect<void>
  /** The next line of standard output, as JSON. */
  readonly next: Effect.Effect<Message>
  readonly log: () => string
  /** How the process ended. */
  readonly ended: Effect.Effect<{ readonly code: number | null; readonly signal: string | null }>
}

interface Message {
  readonly id?: string | number | null
  readonly params?: { readonly message?: string }
  readonly result?: {
    readonly serverInfo?: unknown
    readonly structuredContent?: Record<string, unknown>
  }
  readonly error?: { readonly code: number; readonly message: string }
}

/** The bare pipe, for what no client says. A line that is no JSON is a defect. Without a URL, it starts a node. */
export const pipe = (
  url: string | undefined,
  args: ReadonlyArray<string> = [],
  env: Readonly<Record<string, string>> = {},
) =>
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, program(url, args), {
          env: { PATH: process.env["PATH"], ...env },
          stdio: ["pipe", "pipe", "pipe"],
        }),
      ),
      (child) => Effect.sync(() => void child.kill("SIGKILL")),
    )
    const lines = yield* Queue.unbounded<string>()
    createInterface({ input: child.stdout }).on("line", (line) => Queue.unsafeOffer(lines, line))
    let log = ""
    child.stderr.on("data", (data: Buffer) => (log += data.toString()))
    child.stdin.on("error", () => undefined)
    const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
      child.once("close", (code, signal) => resolve({ code, signal })),
    )
    return {
      child,
      write: (line) => Effect.sync(() => void child.stdin.write(`${line}\n`)),
      next: Effect.map(Queue.take(lines), (line) => JSON.parse(line) as Message),
      log: () => log,
      ended: Effect.promise(() => ended),
    } satisfies Pipe
  })

/** A client's first words, at a protocol version. */
export const hello = (protocolVersion = "2025-06-18") =>
  JSON.stringify({
    jsonrpc: "2.0",
    id: 0,
    method: "initialize",
    params: { protocolVersion, capabilities: {}, clientInfo: { name: "test", version: "0" } },
  })
