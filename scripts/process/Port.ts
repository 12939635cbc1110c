/** TCP ports of this machine. */
import { Effect, Schedule } from "effect"
import { createServer } from "node:net"
import { StartError } from "./StartError.ts"

/**
 * A port that nobody listens on. It lies below the range from which the kernel serves outgoing
 * connections, so that none of those takes it before it is used.
 */
export const free: Effect.Effect<number> = Effect.suspend(() => {
  const port = 20_000 + Math.floor(Math.random() * 12_000)
  return Effect.as(tryListen("127.0.0.1", port), port)
}).pipe(Effect.retry(Schedule.recurs(200)), Effect.orDie)

/** Fails with one clear sentence where the port cannot be listened on. */
export const check = (host: string, port: number): Effect.Effect<void, StartError> =>
  tryListen(host, port).pipe(
    Effect.catchAll((error) =>
      error.code === "EADDRINUSE"
        ? new StartError({
            problem: `Port ${port} on ${host} is taken by another program.`,
            remedy: "End that program, or name another port with --port.",
          })
        : error.code === "EACCES"
          ? new StartError({
              problem: `Port ${port} needs root.`,
              remedy: "Name a port above 1023 with --port.",
            })
          : new StartError({
              problem: `${host}:${port} cannot be listened on (${error.code ?? error.message}).`,
              remedy: "Check HTTP_HOST and --port.",
            }),
    ),
  )

const tryListen = (host: string, port: number) =>
  Effect.async<void, NodeJS.ErrnoException>((resume) => {
    const server = createServer()
    server.once("error", (error) => resume(Effect.fail(error)))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resume(Effect.void)))
  })
