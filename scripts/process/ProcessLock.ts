/**
 * A lock between the processes of one machine, held until its scope closes. It is a socket in Linux's
 * abstract namespace, which ends with the process that holds it: no stale lock can stay behind a `kill -9`.
 * On other systems nothing is locked.
 */
import { Effect, Schedule } from "effect"
import type { Scope } from "effect"
import { createHash } from "node:crypto"
import { realpathSync } from "node:fs"
import { createServer, type Server } from "node:net"
import { basename, dirname, join } from "node:path"
import { Data } from "effect"

/** Another process holds the lock. */
export class Locked extends Data.TaggedError("Locked")<{ readonly path: string }> {}

/** Takes the lock on a path (its folder must exist), or fails at once. */
export const acquire = (path: string): Effect.Effect<void, Locked, Scope.Scope> =>
  process.platform === "linux"
    ? Effect.asVoid(Effect.acquireRelease(listen(path), (server) => Effect.sync(() => server.close())))
    : Effect.void

/** Takes the lock on a path, waiting for as long as others hold it. */
export const waitFor = (path: string): Effect.Effect<void, never, Scope.Scope> =>
  acquire(path).pipe(Effect.retry(Schedule.jittered(Schedule.spaced("20 millis"))), Effect.orDie)

const listen = (path: string) =>
  Effect.async<Server, Locked>((resume) => {
    const server = createServer((socket) => socket.destroy())
    server.once("error", () => resume(new Locked({ path })))
    server.listen(nameOf(path), () => resume(Effect.succeed(server.unref())))
  })

const nameOf = (path: string) => {
  const real = join(realpathSync(dirname(path)), basename(path))
  return `\0codegen-mcp/${createHash("sha256").update(real).digest("hex").slice(0, 32)}`
}
