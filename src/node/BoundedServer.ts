/**
 * A server of node:http on which no client can hold more than its part: headers are bounded in size and time, bodies
 * in time (in size where they are read), an answer that its client does not take is cut off, a connection carries one
 * request at a time, and there are only so many of them. What is refused before anything else sees it gets an error like
 * those of `/mcp`.
 */
import type { HttpServerRequest } from "@effect/platform"
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Config, Duration, Effect } from "effect"
import { createServer } from "node:http"
import { Socket } from "node:net"
import { settings } from "../Settings.ts"

/** With MAX_SOCKETS, MAX_HEADER, HEADER_TIMEOUT, REQUEST_TIMEOUT, STALL_TIMEOUT and KEEP_ALIVE. */
export const make = Effect.map(
  Config.all({
    maxSockets: settings.maxSockets.config,
    maxHeader: settings.maxHeader.config,
    headerTimeout: settings.headerTimeout.config,
    requestTimeout: settings.requestTimeout.config,
    stallTimeout: settings.stallTimeout.config,
    keepAlive: settings.keepAlive.config,
  }),
  ({ headerTimeout, keepAlive, maxHeader, maxSockets, requestTimeout, stallTimeout }) => {
    const wholeIn = Duration.toMillis(requestTimeout)
    const server = createServer({
      maxHeaderSize: maxHeader,
      requestTimeout: wholeIn,
      headersTimeout: Math.min(Duration.toMillis(headerTimeout), wholeIn),
      keepAliveTimeout: Duration.toMillis(keepAlive),
      connectionsCheckingInterval: 1000,
    })
    // Before anyone knows whose they are.
    server.maxConnections = maxSockets
    const answered = new WeakSet<Socket>()
    /** Those that no request has come on. */
    const silent = new Set<Socket>()
    let isLeaving = false
    server.on("connection", (socket) => {
      silent.add(socket)
      socket.once("close", () => silent.delete(socket))
    })
    server.on("request", (request, response) => {
      const { socket } = request
      // To close a socket with bytes unread takes back the answer that it carries. REQUEST_TIMEOUT bounds the wait.
      socket.destroySoon = () => {
        const close = () => Socket.prototype.destroySoon.call(socket)
        if (request.readableEnded || isLeaving) close()
        else request.once("end", close)
      }
      // Where the client goes away, node:http does not tell an answer that waits behind another.
      if (answered.has(socket)) return void socket.destroy()
      answered.add(socket)
      silent.delete(socket)
      response.once("close", () => {
        answered.delete(socket)
        // It was kept for a request that nobody would answer.
        if (isLeaving) socket.destroySoon()
      })
      // A socket is silent, too, while the answer is made.
      response.setTimeout(Duration.toMillis(stallTimeout), () => {
        if (socket.writableLength > 0) socket.destroy()
      })
    })
    server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
      if (!socket.writable || answered.has(socket)) return void socket.destroy()
      const [status, message] = refusals(maxHeader)[error.code ?? ""] ?? [
        "400 Bad Request",
        "This is not HTTP/1.1: send MCP's messages by POST to /mcp.",
      ]
      const body = JSON.stringify({ jsonrpc: "2.0", id: null, error: { code: -32000, message } })
      socket.write(
        `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      )
      socket.destroySoon()
    })
    return {
      server,
      /**
       * Serves its last requests. A connection ends with the answer that it carries now; for a moment more come in, which
       * were on their way; then none is accepted any more. Whoever is served after the time given is cut off.
       */
      leave: (within: Duration.Duration) =>
        Effect.gen(function* () {
          isLeaving = true
          yield* Effect.sleep(onTheWay)
          yield* Effect.async<void>((resume) => {
            const timers = [
              setTimeout(() => silent.forEach((socket) => socket.destroy()), Duration.toMillis(onTheWay)),
              setTimeout(() => server.closeAllConnections(), Duration.toMillis(within)),
            ]
            server.close(() => {
              timers.forEach(clearTimeout)
              resume(Effect.void)
            })
          })
        }),
    }
  },
)

/** How long a request may be on its way over a connection that a balancer has opened, or kept. */
const onTheWay = Duration.millis(500)

/** Whether nobody waits for the answer any more. */
export const isLeft = (request: HttpServerRequest.HttpServerRequest) =>
  NodeHttpServerRequest.toIncomingMessage(request).socket.destroyed

/** By the error's code: the status, and what the client is to do. */
const refusals = (
  maxHeader: number,
): Readonly<Record<string, readonly [status: string, message: string]>> => ({
  HPE_HEADER_OVERFLOW: [
    "431 Request Header Fields Too Large",
    `The header is larger than ${maxHeader} bytes (MAX_HEADER): send fewer or shorter fields.`,
  ],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ["413 Payload Too Large", "Send a body without chunk extensions."],
  ERR_HTTP_REQUEST_TIMEOUT: [
    "408 Request Timeout",
    "The request did not arrive in time (HEADER_TIMEOUT, REQUEST_TIMEOUT): send it again.",
  ],
})
