/** One attachment to a container's standard input and output, from its mark to its end. */
import { Deferred, Effect } from "effect"
import type { Duplex } from "node:stream"
import { mark, MarkFinder } from "../agent/Frame.ts"
import { messageOf } from "../domain/Failure.ts"
import type { ContainerId } from "../domain/Identity.ts"
import { Docker } from "./Docker.ts"
import { EngineStream } from "./EngineStream.ts"

export interface Attachment {
  readonly write: (pieces: ReadonlyArray<Uint8Array>) => void
  readonly close: () => void
  /** Waits for the end, and says why. */
  readonly closed: Effect.Effect<string>
}

/**
 * Attaches under the attachment's number, 1 at first. `receive` gets what the agent says on it, and not what was on
 * its way when another one broke; what it throws ends the attachment. `complain` gets its standard error. The container need not run yet.
 */
export const open = Effect.fnUntraced(function* (
  container: ContainerId,
  secret: Uint8Array,
  number: number,
  receive: (bytes: Uint8Array) => void,
  complain: (text: Buffer) => void,
) {
  const docker = yield* Docker
  let wanted = true
  const attached = yield* docker
    .use("attach", async (docker) => {
      const stream = await docker
        .getContainer(container)
        .attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true })
      // It came too late, and nobody else would close it.
      if (!wanted) (stream as Duplex).destroy()
      return stream
    })
    .pipe(Effect.onError(() => Effect.sync(() => (wanted = false))))
  const stream = attached as Duplex
  const closed = yield* Deferred.make<string>()
  const finish = (why: string) => {
    Deferred.unsafeDone(closed, Effect.succeed(why))
    stream.destroy()
  }
  let current = false
  const finder = new MarkFinder(
    secret,
    (bytes) => {
      if (current) receive(bytes)
    },
    (found) => {
      if (found === 0 && current) finish("the agent asks for another attachment")
      current = found === number
    },
  )
  const output = new EngineStream((stream, piece) => {
    if (stream === 1) finder.push(piece)
    else complain(piece)
  })
  stream.on("data", (chunk: Buffer) => {
    try {
      output.push(chunk)
    } catch (error) {
      finish(messageOf(error))
    }
  })
  stream.on("error", (error) => finish(error.message))
  stream.on("close", () => finish("the engine closed the attachment"))
  stream.on("end", () => finish("the engine ended the attachment"))
  const write = (pieces: ReadonlyArray<Uint8Array>) => {
    if (stream.destroyed) return
    stream.cork()
    for (const piece of pieces) stream.write(piece)
    process.nextTick(() => stream.uncork())
  }
  // Where the first attachment broke early, the agent has not heard the secret yet.
  write([secret, mark(secret, number)])
  return { write, close: () => void stream.destroy(), closed: Deferred.await(closed) } satisfies Attachment
})
