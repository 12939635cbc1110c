/**
 * MCP clients that take as little of the machine as they can: messages written by hand, one kept connection each, and
 * nothing decoded but what shows that the answer is right.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import { Agent, request } from "node:http"
import { StartError } from "../../process/StartError.ts"

export interface LeanClient {
  /** Sends a request; calls back with the answer's text, or with nothing where there is no good one. */
  readonly send: (message: Message, answered: (text: string | undefined) => void) => void
  /** A tool's answer, as it is written. */
  readonly call: (tool: string, input: object) => Effect.Effect<string, StartError>
  /** Opens the stream for what the server says unasked; it is there when this returns, and ends with the scope. */
  readonly listen: Effect.Effect<void, StartError, Scope.Scope>
}

export interface Message {
  readonly method: string
  readonly params: object
}

export interface Load {
  /** Of each call, in milliseconds. */
  readonly latencies: ReadonlyArray<number>
  /** In milliseconds. */
  readonly elapsed: number
}

export const toolCall = (name: string, input: object): Message => ({
  method: "tools/call",
  params: { name, arguments: input },
})

/** Opens a connection, which ends with the scope. */
export const connect = (options: {
  readonly url: string
  readonly token: string
}): Effect.Effect<LeanClient, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    const agent = yield* Effect.acquireRelease(
      Effect.sync(() => new Agent({ keepAlive: true })),
      (agent) => Effect.sync(() => agent.destroy()),
    )
    const url = new URL(options.url)
    const headers: Record<string, string> = {
      authorization: `Bearer ${options.token}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
    }
    let lastId = 0
    const send: LeanClient["send"] = ({ method, params }, answered) => {
      const body = Buffer.from(JSON.stringify({ jsonrpc: "2.0", id: lastId++, method, params }))
      const outgoing = request(url, {
        method: "POST",
        agent,
        headers: { ...headers, "content-length": body.length },
      })
      outgoing.once("error", () => {
        // The node had closed the kept connection by then.
        if (outgoing.reusedSocket) send({ method, params }, answered)
        else answered(undefined)
      })
      outgoing.once("response", (response) => {
        const id = response.headers["mcp-session-id"]
        if (typeof id === "string") headers["mcp-session-id"] = id
        let text = ""
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk))
        response.once("error", () => answered(undefined))
        response.once("end", () => answered(response.statusCode === 200 ? text : undefined))
      })
      outgoing.end(body)
    }
    const ask = (message: Message) =>
      Effect.async<string, StartError>((resume) =>
        send(message, (text) => resume(text === undefined ? unanswered(message) : Effect.succeed(text))),
      )
    yield* Effect.acquireRelease(
      ask({
        method: "initialize",
        params: {
          protocolVersion: "2025-11-25",
          capabilities: {},
          clientInfo: { name: "codegen-mcp-bench", version: "0.1.0" },
        },
      }),
      () =>
        Effect.async<void>((resume) => {
          const done = () => resume(Effect.void)
          request(url, { method: "DELETE", agent, headers }, (response) =>
            response.resume().once("end", done),
          )
            .once("error", done)
            .end()
        }),
    )
    return {
      send,
      call: (tool, input) => ask(toolCall(tool, input)),
      listen: Effect.acquireRelease(
        Effect.async<ReturnType<typeof request>, StartError>((resume) => {
          const outgoing = request(url, { agent, headers })
          outgoing.once("error", () => resume(unanswered({ method: "GET", params: {} })))
          outgoing.once("response", (response) => {
            response.once("data", () => resume(Effect.succeed(outgoing)))
            response.on("error", () => undefined)
          })
          outgoing.end()
        }),
        (outgoing) => Effect.sync(() => outgoing.destroy()),
      ),
    }
  })

/** Every client calls in turn after its last answer, until there were so many calls. */
export const load = (
  clients: ReadonlyArray<LeanClient>,
  message: Message,
  calls: number,
  isRight: (text: string) => boolean,
): Effect.Effect<Load, StartError> =>
  Effect.async((resume) => {
    const latencies: Array<number> = []
    const startedAt = performance.now()
    let left = calls
    let open = 0
    const next = (client: LeanClient) => {
      if (left-- <= 0) return
      open++
      const calledAt = performance.now()
      client.send(message, (text) => {
        open--
        latencies.push(performance.now() - calledAt)
        if (text === undefined || !isRight(text)) {
          left = 0
          resume(unanswered(message, text))
        } else if (left > 0) next(client)
        else if (open === 0) resume(Effect.succeed({ latencies, elapsed: performance.now() - startedAt }))
      })
    }
    clients.forEach(next)
  })

const unanswered = ({ method }: Message, text = "") =>
  Effect.fail(
    new StartError({
      problem: `${method} was not answered as it should. ${text.slice(0, 300)}`.trim(),
      remedy: "See the nodes' logs in .codegen/run.",
    }),
  )
