/** A TCP connection on which a test writes and reads HTTP by hand. */
import { Effect } from "effect"
import { connect } from "node:net"

export interface RawConnection {
  readonly write: (text: string) => void
  /** All that came so far. */
  readonly text: () => string
  /** Resolves once the server has closed it, with all that came. */
  readonly closed: Effect.Effect<string>
  /** Whether to take what comes; what is not taken stays with the sender. */
  readonly read: (whether: boolean) => void
}

/** To the server of a URL; ends with the scope. */
export const open = (url: string) =>
  Effect.acquireRelease(
    Effect.async<{ readonly connection: RawConnection; readonly destroy: () => void }>((resume) => {
      const { hostname, port } = new URL(url)
      const socket = connect({ host: hostname, port: Number(port) })
      let text = ""
      socket.setEncoding("utf8")
      socket.on("data", (more: string) => (text += more))
      socket.on("error", () => undefined)
      socket.once("connect", () =>
        resume(
          Effect.succeed({
            destroy: () => socket.destroy(),
            connection: {
              write: (text) => void socket.write(text),
              text: () => text,
              closed: Effect.async<string>((resume) => {
                const end = () => resume(Effect.succeed(text))
                if (socket.closed) end()
                else socket.once("close", end)
              }),
              read: (whether) => void (whether ? socket.resume() : socket.pause()),
            },
          }),
        ),
      )
    }),
    ({ destroy }) => Effect.sync(destroy),
  ).pipe(Effect.map(({ connection }) => connection))

/** A request as it goes over the wire. */
export const requestOf = (method: string, headers: Readonly<Record<string, string>>, body = "") =>
  [
    `${method} /mcp HTTP/1.1`,
    ...Object.entries({ host: "127.0.0.1", ...headers }).map(([name, value]) => `${name}: ${value}`),
    ...(body === "" ? [] : [`content-length: ${Buffer.byteLength(body)}`]),
    "",
    body,
  ].join("\r\n")
