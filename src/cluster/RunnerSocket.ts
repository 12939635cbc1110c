/**
 * Connections between nodes: TCP without Nagle's delay; with keys, TLS by pre-shared key, which shows each end that
 * the other knows the cluster's secret, and needs no certificate. TLS 1.3 has no such suite in node:tls.
 */
import { type Socket, SocketServer } from "@effect/platform"
import { NodeSocket } from "@effect/platform-node"
import { SocketGenericError } from "@effect/platform/Socket"
import { Effect, FiberSet, Queue } from "effect"
import { constants } from "node:crypto"
import * as Net from "node:net"
import * as Tls from "node:tls"
import type { LinkKey } from "./LinkKeys.ts"

export interface Address {
  readonly host: string
  readonly port: number
}

const suite = {
  ciphers: "ECDHE-PSK-CHACHA20-POLY1305",
  minVersion: "TLSv1.2",
  maxVersion: "TLSv1.2",
} as const

/** To another node; fails where it does not answer within 1 s or has none of our keys. */
export const dial = (address: Address, key: LinkKey | undefined) =>
  NodeSocket.fromDuplex(
    Effect.acquireRelease(
      Effect.sync(() => {
        const options = { host: address.host, port: address.port, noDelay: true }
        if (key === undefined) return { socket: Net.connect(options), opened: "connect" }
        const socket = Tls.connect({
          ...options,
          ...suite,
          pskCallback: () => key,
          checkServerIdentity: () => undefined,
        })
        return { socket, opened: "secureConnect" }
      }),
      ({ socket }) => Effect.sync(() => void socket.destroySoon()),
    ).pipe(
      Effect.flatMap(({ opened, socket }) =>
        Effect.async<Net.Socket, Socket.SocketError>((resume) => {
          socket.once(opened, () => resume(Effect.succeed(socket)))
          socket.on("error", (cause) => resume(new SocketGenericError({ reason: "Open", cause })))
        }),
      ),
    ),
    { openTimeout: "1 second" },
  )

/** Serves other nodes: without keys anyone, with keys those that have one of them. Ends with the scope. */
export const listen = ({ host, port }: Address, keys: ReadonlyArray<LinkKey>) =>
  Effect.gen(function* () {
    const connections = yield* Queue.unbounded<Net.Socket>()
    const onConnection = (socket: Net.Socket) => {
      // One that breaks before it is served would end the process.
      socket.on("error", () => undefined)
      Queue.unsafeOffer(connections, socket)
    }
    const server =
      keys.length === 0
        ? Net.createServer({ noDelay: true }, onConnection)
        : Tls.createServer(
            {
              ...suite,
              noDelay: true,
              handshakeTimeout: 5000,
              secureOptions: constants.SSL_OP_NO_TICKET,
              pskCallback: (_, identity) => keys.find((key) => key.identity === identity)?.psk ?? null,
            },
            onConnection,
          )
    // A handshake that fails, or does not end, is no reason for node:tls to close the connection.
    server.on("tlsClientError", (_: Error, socket: Tls.TLSSocket) => void socket.destroy())
    server.maxConnections = maxConnections
    const open = new Set<Net.Socket>()
    server.on("connection", (socket: Net.Socket) => {
      open.add(socket)
      socket.once("close", () => open.delete(socket))
    })
    yield* Effect.acquireRelease(
      Effect.async<void, SocketServer.SocketServerError>((resume) => {
        server.once("error", (cause) =>
          resume(Effect.fail(new SocketServer.SocketServerError({ reason: "Open", cause }))),
        )
        server.listen({ host, port }, () => resume(Effect.void))
      }),
      () =>
        Effect.async<void>((resume) => {
          server.close(() => resume(Effect.void))
          for (const socket of open) socket.destroySoon()
        }),
    )
    return SocketServer.SocketServer.of({
      address: { _tag: "TcpAddress", hostname: host, port },
      run: (handler) =>
        Effect.gen(function* () {
          const serving = yield* FiberSet.make()
          return yield* Effect.forever(
            Effect.flatMap(Queue.take(connections), (socket) =>
              FiberSet.run(serving, Effect.ignoreLogged(Effect.flatMap(accepted(socket), handler))),
            ),
          )
        }).pipe(Effect.scoped),
    })
  })

/** Other nodes need a few each; what a stranger opens past that is closed at once. */
const maxConnections = 4096

const accepted = (socket: Net.Socket) =>
  NodeSocket.fromDuplex(
    Effect.acquireRelease(
      Effect.suspend(() =>
        socket.destroyed
          ? Effect.fail(new SocketGenericError({ reason: "Open", cause: new Error("closed already") }))
          : Effect.succeed(socket),
      ),
      () => Effect.sync(() => socket.destroySoon()),
    ),
  )
