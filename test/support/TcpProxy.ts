/** A way to a server that a test can cut and restore, as a network does. */
import { Effect } from "effect"
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net"

export interface TcpProxy {
  readonly port: number
  /** Resets all connections, and those that come. */
  readonly cut: Effect.Effect<void>
  /** Carries nothing any more and tells nobody, as a network that drops packets. */
  readonly stall: Effect.Effect<void>
  /** Carries again. */
  readonly restore: Effect.Effect<void>
}

/** A TCP server, or one on a Unix socket. */
export type Target = { readonly host: string; readonly port: number } | { readonly path: string }

/** Listens on a port of its own, until the scope closes; tells what it carries, either way. */
export const make = (target: Target, carries: (data: Buffer) => void = () => undefined) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.async<ReturnType<typeof proxy>>((resume) => {
        const made = proxy(target, carries)
        made.server.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
      }),
      ({ server, sockets }) =>
        Effect.sync(() => {
          server.close()
          for (const socket of sockets) socket.destroy()
        }),
    ),
    ({ server, sockets, set }): TcpProxy => ({
      port: (server.address() as AddressInfo).port,
      cut: Effect.sync(() => {
        set("cut")
        for (const socket of sockets) reset(socket)
      }),
      stall: Effect.sync(() => {
        set("stalled")
        for (const socket of sockets) socket.pause()
      }),
      restore: Effect.sync(() => {
        set("open")
        for (const socket of sockets) socket.resume()
      }),
    }),
  )

/** A Unix socket knows no reset. */
const reset = (socket: Socket) =>
  socket.remoteFamily === undefined ? socket.destroy() : socket.resetAndDestroy()

const proxy = (target: Target, carries: (data: Buffer) => void) => {
  const sockets = new Set<Socket>()
  let mode: "open" | "cut" | "stalled" = "open"
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.once("close", () => sockets.delete(socket))
    socket.on("error", () => undefined)
    if (mode === "stalled") socket.pause()
  }
  const server: Server = createServer({ noDelay: true }, (client) => {
    keep(client)
    if (mode === "cut") return void client.resetAndDestroy()
    const upstream = connect({ ...target, noDelay: true })
    keep(upstream)
    const forward = (from: Socket, to: Socket) => {
      from.on("data", (data: Buffer) => {
        carries(data)
        if (!to.write(data)) {
          from.pause()
          to.once("drain", () => mode !== "stalled" && from.resume())
        }
      })
      from.once("close", () => to.destroy())
      if (mode === "stalled") from.pause()
    }
    forward(client, upstream)
    forward(upstream, client)
  })
  return { server, sockets, set: (next: typeof mode) => void (mode = next) }
}
