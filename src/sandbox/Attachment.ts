/** One attachment to a container's standard input and output, from its mark to its end. */
import { Effect } from "effect"
import type { Duplex } from "node:stream"
import { mark, MarkFinder } from "../agent/Frame.ts"
import type { ContainerId } from "../domain/Identity.ts"
import { Docker } from "./Docker.ts"
import { EngineStream } from "./EngineStream.ts"

export interface Attachment {
  readonly write: (pieces: ReadonlyArray<Uint8Array>) => void
  readonly close: () => void
}

export interface AttachmentHandler {
  /** Gets what the agent says on it, and not what was on its way when another one broke. Throws nothing. */
  readonly receive: (bytes: Uint8Array) => void
  /** Gets the agent's standard error. */
  readonly complain: (text: Buffer) => void
  /** Is called once, at the end, whoever ended it. */
  readonly closed: () => void
}

/** Attaches under the attachment's number, 1 at first. The container need not run yet. */
export const open = Effect.fnUntraced(function* (
  container: ContainerId,
  secret: Uint8Array,
  number: number,
  { receive, complain, closed }: AttachmentHandler,
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
  let isClosed = false
  const close = () => {
    if (isClosed) return
    isClosed = true
    stream.destroy()
    closed()
  }
  let current = false
  const finder = new MarkFinder(
    secret,
    (bytes) => {
      if (current) receive(bytes)
    },
    (found) => {
      // The agent asks for another attachment.
      if (found === 0 && current) close()
      current = found === number
    },
  )
  const output = new EngineStream((stream, piece) => {
    if (stream === 1) finder.push(piece)
    else complain(piece)
  })
  stream.on("data", (chunk: Buffer) => output.push(chunk))
  for (const event of ["error", "end", "close"]) stream.on(event, close)
  const write = (pieces: ReadonlyArray<Uint8Array>) => {
    if (stream.destroyed) return
    stream.cork()
    for (const piece of pieces) stream.write(piece)
    process.nextTick(() => stream.uncork())
  }
  // Where the first attachment broke early, the agent has not heard the secret yet.
  write([secret, mark(secret, number)])
  return { write, close } satisfies Attachment
})
