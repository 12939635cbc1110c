/**
 * The HTTP proxy on the sandbox's loopback, through which programs reach what their session may reach. It decides
 * nothing: each connection goes over a channel of its own to the node, which does. It listens from the first time that
 * the session may reach anything; as long as it may not, it refuses.
 */
import { readFileSync, writeFileSync } from "node:fs"
import type * as Http from "node:http"
import type { AddressInfo, Socket } from "node:net"
import type { Channels } from "../Channels.ts"
import type { Accept, Network, ToNode } from "../Protocol.ts"
import { Line, type Reply } from "./Line.ts"

/** Programs' connections at once, at most: more are closed as they come. */
const maxConnections = 256

/** Time for a connection to wait for its turn, in milliseconds. */
const patience = 30_000

const certificatesFile = "/tmp/.codegen-certificates.pem"

export class Proxy {
  private readonly channels: Channels
  private readonly tell: (message: ToNode) => void
  private server: Http.Server | undefined
  private listening: Promise<void> | undefined
  private isOpen = false
  private trusted = false
  private readonly spare: Array<Line> = []
  private readonly waiting = new Set<(line: Line | undefined) => void>()

  constructor(channels: Channels, tell: (message: ToNode) => void) {
    this.channels = channels
    this.tell = tell
  }

  /** What commands that start from now on find in their environment, besides that which they have anyway. */
  environment(given: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
    const address = this.server?.address() as AddressInfo | null | undefined
    if (!this.isOpen || address === null || address === undefined) return {}
    const url = `http://127.0.0.1:${address.port}`
    const near = "localhost,127.0.0.1,::1"
    const names = { HTTP_PROXY: url, HTTPS_PROXY: url, ALL_PROXY: url, NO_PROXY: near }
    const lower = Object.fromEntries(
      Object.entries(names).map(([name, value]) => [name.toLowerCase(), value]),
    )
    // Node's own fetch looks at the variables only where this is set.
    const all = { ...names, ...lower, NODE_USE_ENV_PROXY: "1" }
    return this.trusted && given["SSL_CERT_FILE"] === undefined ? { ...all, ...trusting } : all
  }

  /** Opens or shuts the way out. Resolves once it listens. */
  async set({ open, certificates }: Network) {
    this.isOpen = open
    if (!open) {
      this.spare.length = 0
      for (const wake of this.waiting) wake(undefined)
      return
    }
    if (certificates !== undefined && !this.trusted) {
      try {
        writeFileSync(certificatesFile, certificates)
        this.trusted = true
      } catch {
        // A full disk: programs then trust what their image does.
      }
    }
    await (this.listening ??= this.listen())
  }

  accept({ id, channel }: Accept) {
    const line: Line = new Line(this.channels, channel, () => {
      const at = this.spare.indexOf(line)
      if (at >= 0) this.spare.splice(at, 1)
      this.tell({ type: "answer", id })
    })
    line.on("error", () => undefined)
    const [first] = this.waiting
    if (first === undefined) this.spare.push(line)
    else first(line)
  }

  private async listen() {
    // Most sessions never need it, and what it takes of memory is charged to the sandbox.
    const http = await import("node:http")
    const server = new http.Server({ requestTimeout: 0, headersTimeout: patience })
    server.maxConnections = Math.min(maxConnections, Math.floor(openFiles() / 4))
    server.on("connect", (request, duplex, head) => {
      const client = duplex as Socket
      client.on("error", () => undefined)
      void this.carry(request.url ?? "", client, head)
    })
    server.on("request", (request, response) => {
      this.forward(http, request, response).catch(() => response.destroy())
    })
    server.on("upgrade", (_, client) => void client.destroy())
    await new Promise<void>((resolve) => {
      server.on("error", () => resolve())
      server.listen(0, "127.0.0.1", () => resolve())
    })
    this.server = server
  }

  private async carry(target: string, client: Socket, head: Buffer) {
    const { line, reply } = await this.connect(target, client)
    if (line === undefined || reply.status !== 200) {
      line?.destroy()
      return void client.end(refusal(reply))
    }
    client.write("HTTP/1.1 200 Connection established\r\n\r\n")
    join(client, line, head)
  }

  /** A plain HTTP request, with its whole URL in the place of a path. */
  private async forward(http: typeof Http, request: Http.IncomingMessage, response: Http.ServerResponse) {
    const url = URL.canParse(request.url ?? "") ? new URL(request.url ?? "") : undefined
    if (url === undefined || url.protocol !== "http:") return answer(response, notForMe)
    const { line, reply } = await this.connect(`${url.hostname}:${url.port || "80"}`, request.socket)
    if (line === undefined || reply.status !== 200) {
      line?.destroy()
      return answer(response, reply)
    }
    response.on("close", () => line.destroy())
    const { "proxy-connection": _, "proxy-authorization": __, ...headers } = request.headers
    const onward = http.request({
      method: request.method,
      path: `${url.pathname}${url.search}`,
      headers: { ...headers, host: url.host, connection: "close" },
      createConnection: () => line,
    })
    onward.on("response", (reply) => {
      try {
        response.writeHead(reply.statusCode ?? 502, reply.statusMessage, reply.rawHeaders)
        reply.pipe(response)
      } catch {
        // It says what no answer may.
        response.destroy()
      }
    })
    onward.on("error", () => {
      if (response.headersSent) response.destroy()
      else answer(response, { status: 502, reason: "the host did not answer as HTTP does" })
    })
    request.pipe(onward)
  }

  /** A line on which the node has dialled the host, or why there is none. */
  private async connect(
    target: string,
    client: Socket,
  ): Promise<{ readonly line?: Line | undefined; readonly reply: Reply }> {
    if (!this.isOpen) return { reply: shut }
    const line = this.spare.shift() ?? (await this.next(client))
    if (line === undefined) return { reply: this.isOpen ? busy : shut }
    const leave = () => line.destroy()
    client.once("close", leave)
    const reply = await line.dial(target)
    client.off("close", leave)
    if (client.destroyed) leave()
    return { line, reply }
  }

  private next(client: Socket) {
    return new Promise<Line | undefined>((resolve) => {
      const end = (line: Line | undefined) => {
        clearTimeout(timer)
        client.off("close", leave)
        this.waiting.delete(end)
        resolve(line)
      }
      const leave = () => end(undefined)
      const timer = setTimeout(leave, patience)
      client.once("close", leave)
      this.waiting.add(end)
    })
  }
}

/** Joins both, in both directions; either may end its own first. */
const join = (client: Socket, line: Line, head: Buffer) => {
  if (head.length > 0) line.write(head)
  client.pipe(line)
  line.pipe(client)
  client.on("close", () => line.destroy())
  // What breaks off is not to look like an end.
  line.on("close", () => {
    if (!line.readableEnded) client.resetAndDestroy()
  })
}

const busy: Reply = { status: 503, reason: "too many connections of this session wait" }
const shut: Reply = { status: 403, reason: "the session's network policy allows nothing" }

const notForMe: Reply = {
  status: 400,
  reason: "this is a proxy: https goes by CONNECT, http by its whole URL",
}

const refusal = ({ status, reason }: Reply) =>
  `HTTP/1.1 ${status} ${reason}\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: ${reason.length + 1}\r\n\r\n${reason}\n`

const answer = (response: Http.ServerResponse, { status, reason }: Reply) => {
  response.writeHead(status, reason, { "content-type": "text/plain", connection: "close" })
  response.end(`${reason}\n`)
}

/** How many files this process may have open. */
const openFiles = () => {
  const limits = readFileSync("/proc/self/limits", "utf8")
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? maxConnections)
}

const trusting = Object.fromEntries(
  [
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
    "CURL_CA_BUNDLE",
    "NPM_CONFIG_CAFILE",
    "CARGO_HTTP_CAINFO",
  ].map((name) => [name, certificatesFile]),
)
