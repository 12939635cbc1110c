/**
 * Both ends of a tunnel without a sandbox between them: the agent's proxy listens on this machine's loopback, and the
 * node's end dials a network of the test's own, in which each name has the addresses that the test gives it and each
 * address and port leads to a server of the test's.
 */
import { Deferred, Effect } from "effect"
import { connect, createServer, type Server, type Socket } from "node:net"
import { Channels } from "../../src/agent/Channels.ts"
import { Proxy } from "../../src/agent/network/Proxy.ts"
import type { ToAgent, ToNode } from "../../src/agent/Protocol.ts"
import { ContainerId } from "../../src/domain/Identity.ts"
import type { Answer } from "../../src/sandbox/AgentLink.ts"
import { refusalOf } from "../../src/sandbox/tunnel/Destinations.ts"
import { subnets } from "../../src/sandbox/tunnel/Addresses.ts"
import type { Outside } from "../../src/sandbox/tunnel/Outside.ts"
import type { patience } from "../../src/sandbox/tunnel/Connection.ts"
import * as Tunnel from "../../src/sandbox/tunnel/Tunnel.ts"

/** A network in which `names` are looked up, each answer once and the last for ever, and all else leads to `port`. */
class FakeOutside {
  readonly names = new Map<string, Array<ReadonlyArray<string>>>()
  readonly resolved: Array<string> = []
  readonly dialled: Array<string> = []
  /** Sockets that were dialled and are not closed. */
  readonly open = new Set<Socket>()
  port = 0

  readonly service: Outside["Type"] = {
    resolve: async (host) => {
      this.resolved.push(host)
      const answers = this.names.get(host)
      if (answers === undefined) throw new Error("ENOTFOUND")
      return (answers.length > 1 ? answers.shift() : answers[0]) ?? []
    },
    connect: (address, port) => {
      this.dialled.push(`${address}:${port}`)
      const socket = connect({ host: "127.0.0.1", port: this.port, noDelay: true, allowHalfOpen: true })
      this.open.add(socket)
      socket.once("close", () => this.open.delete(socket))
      return socket
    },
  }
}

/** A server that does this with each connection, on a port of its own. */
export const serving = (connection: (socket: Socket) => void) =>
  Effect.acquireRelease(
    Effect.async<{ readonly server: Server; readonly port: number; readonly sockets: Set<Socket> }>(
      (resume) => {
        const sockets = new Set<Socket>()
        const server = createServer({ allowHalfOpen: true }, (socket) => {
          sockets.add(socket)
          socket.once("close", () => sockets.delete(socket)).on("error", () => undefined)
          connection(socket)
        })
        server.listen(0, "127.0.0.1", () => {
          const { port } = server.address() as { readonly port: number }
          resume(Effect.succeed({ server, port, sockets }))
        })
      },
    ),
    ({ server, sockets }) =>
      Effect.sync(() => {
        for (const socket of sockets) socket.destroy()
        server.close()
      }),
  )

/** Only the addresses of 192.0.2.0/24 may be dialled, beside those of the internet. */
export const make = (times: typeof patience) =>
  Effect.gen(function* () {
    const outside = new FakeOutside()
    const answers = new Map<number, Deferred.Deferred<Answer>>()
    let held = true
    const looks = new Set<() => void>()
    const later = (deliver: () => void) => setImmediate(deliver)
    const proxies: Array<Proxy> = []
    const node: Channels = new Channels({
      send: (pieces) => later(() => agent.receive(Buffer.concat(pieces.map((piece) => Buffer.from(piece))))),
      message: (message) => {
        const answer = message as Extract<ToNode, { readonly type: "answer" }>
        const waiting = answers.get(answer.id)
        answers.delete(answer.id)
        if (waiting !== undefined) Deferred.unsafeDone(waiting, Effect.succeed(answer))
      },
      follows: false,
    })
    const agent: Channels = new Channels({
      send: (pieces) => later(() => node.receive(Buffer.concat(pieces.map((piece) => Buffer.from(piece))))),
      message: (received) => {
        const message = received as ToAgent
        if (message.type === "accept") proxies[0]?.accept(message)
        if (message.type === "network")
          void proxies[0]?.set(message).then(() => agent.send({ type: "answer", id: message.id }))
      },
      follows: true,
    })
    const proxy = new Proxy(agent, (message) => agent.send(message))
    proxies.push(proxy)
    node.attach(1)
    agent.attach(1)
    let id = 0
    let channel = 0
    const tunnel = yield* Tunnel.make(
      {
        container: ContainerId.make("fake"),
        ask: (message) =>
          Effect.gen(function* () {
            const number = ++id
            const answer = yield* Deferred.make<Answer>()
            answers.set(number, answer)
            node.send(message(number))
            return yield* Effect.ensuring(
              Deferred.await(answer),
              Effect.sync(() => answers.delete(number)),
            )
          }),
        open: (handler) => node.open(++channel, handler),
      },
      {
        destinations: {
          ...outside.service,
          refusal: refusalOf({
            exceptions: subnets(["192.0.2.0/24"])!,
            ports: [],
            own: () => [],
            services: () => [],
          }),
        },
        certificates: undefined,
        times,
        isHeld: () => held,
        onChange: (run) => {
          looks.add(run)
          return () => looks.delete(run)
        },
      },
    )
    return {
      outside,
      tunnel,
      proxy,
      /** What a program finds in its environment. */
      environment: () => proxy.environment({}),
      /** The port of the proxy. */
      port: () => Number(new URL(proxy.environment({})["HTTP_PROXY"] ?? "http://x:0").port),
      hold: (now: boolean) => {
        held = now
        for (const look of looks) look()
      },
      /** Without telling anybody, as after a freeze. */
      lapse: () => (held = false),
      /** Channels beside that of the messages, at the node and at the agent. */
      channels: () => [countOf(node), countOf(agent)],
    }
  })

const countOf = (channels: Channels) =>
  (channels as unknown as { open_: Map<number, unknown> }).open_.size - 1

/** A program that has asked the proxy for a host; gives the status line of the answer, and the connection. */
export const dial = (port: number, target: string, more: Uint8Array | string = "") =>
  Effect.async<{ readonly status: string; readonly socket: Socket; readonly bytes: () => Buffer }>(
    (resume) => {
      const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true })
      let bytes: Buffer = Buffer.alloc(0)
      let isAnswered = false
      socket.on("error", () => undefined)
      socket.on("data", (chunk) => {
        bytes = Buffer.concat([bytes, chunk])
        const end = bytes.indexOf("\r\n\r\n")
        if (isAnswered || end < 0) return
        isAnswered = true
        const status = bytes.toString("latin1", 0, bytes.indexOf("\r\n")).replace(/^HTTP\/1.1 /, "")
        bytes = bytes.subarray(end + 4)
        resume(Effect.succeed({ status, socket, bytes: () => bytes }))
      })
      socket.on("close", () => {
        resume(Effect.succeed({ status: "closed", socket, bytes: () => bytes }))
      })
      socket.write(Buffer.concat([Buffer.from(`CONNECT ${target} HTTP/1.1\r\n\r\n`), Buffer.from(more)]))
    },
  )
