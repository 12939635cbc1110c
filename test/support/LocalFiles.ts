/** An agent's files without an agent: a folder of this machine, and two ends of a link that are joined in memory. */
import { Effect, Layer } from "effect"
import { mkdtempSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setImmediate } from "node:timers/promises"
import { Channels } from "../../src/agent/Channels.ts"
import { Files } from "../../src/agent/files/Files.ts"
import { Processes } from "../../src/agent/commands/Processes.ts"
import type { FileRequest } from "../../src/agent/Protocol.ts"
import type { Answer } from "../../src/sandbox/AgentLink.ts"
import * as AgentFiles from "../../src/sandbox/AgentFiles.ts"
import type { FileLink } from "../../src/sandbox/FileRequests.ts"
import type { Watch } from "../../src/agent/watch/Watch.ts"
import type { SandboxFiles } from "../../src/sandbox/SandboxFiles.ts"
import { SandboxLost } from "../../src/domain/SandboxError.ts"
import { ContainerId } from "../../src/domain/Identity.ts"

export class LocalFiles extends Effect.Tag("codegen-mcp/test/LocalFiles")<
  LocalFiles,
  {
    /** The folder that stands for /workspace. */
    readonly root: string
    /** The folder that stands for HOME. */
    readonly home: string
    readonly processes: Processes
    readonly files: SandboxFiles
    /** What the agent of `files` says of them at a command's end. */
    readonly still: Files["still"]
    /** Files of the same folder whose programs are looked for along `path`. */
    readonly withPath: (path: string, searchTime?: number) => Effect.Effect<SandboxFiles>
  }
>() {
  static readonly layer = Layer.scoped(
    LocalFiles,
    Effect.gen(function* () {
      const folder = Effect.acquireRelease(
        Effect.sync(() => realpathSync(mkdtempSync(join(tmpdir(), "codegen-files-")))),
        (root) => Effect.sync(() => rmSync(root, { recursive: true, force: true })),
      )
      const root = yield* folder
      const home = yield* folder
      const processes = new Processes()
      const made: Array<Files> = []
      // The kernel gives one user 128 such watches.
      yield* Effect.addFinalizer(() => Effect.sync(() => made.forEach(endWatching)))
      const withPath = (path: string, searchTime = 10_000) =>
        Effect.map(
          linkTo((channels) => {
            const files = new Files(channels, processes, { root, home, path, searchTime })
            made.push(files)
            return files
          }),
          (link) => AgentFiles.make(link),
        )
      const files = yield* withPath("")
      return { root, home, processes, files, still: () => made[0]!.still(), withPath }
    }),
  )
}

/** An agent ends with its container. */
const endWatching = (files: Files) => {
  const { homeWatch, watch } = files as unknown as Record<"homeWatch" | "watch", Watch>
  homeWatch.end()
  watch.end()
}

const linkTo = Effect.fnUntraced(function* (make: (channels: Channels) => Files) {
  const answers = new Map<number, (answer: Answer) => void>()
  const node: Channels = new Channels({
    send: (pieces) => later(pieces, (piece) => agent.receive(piece)),
    message: (message) => {
      const answer = message as Answer & { readonly id: number }
      answers.get(answer.id)?.(answer)
    },
    follows: false,
  })
  const agent: Channels = new Channels({
    send: (pieces) => later(pieces, (piece) => node.receive(piece)),
    message: (message) => {
      const request = message as FileRequest
      void files.handle(request).then((answer) => agent.send({ type: "answer", id: request.id, ...answer }))
    },
    follows: true,
  })
  const files = make(agent)
  node.attach(1)
  agent.attach(1)
  // Until both have heard of each other.
  yield* Effect.promise(() => setImmediate())
  let lastId = 0
  let lastChannel = 0
  return {
    ask: (make, options) =>
      Effect.async((resume) => {
        const id = ++lastId
        answers.set(id, (answer) => resume(Effect.succeed(answer)))
        node.send(make(id))
        options?.sent?.()
      }),
    open: (handler) => node.open(++lastChannel, handler),
    whenLost: () => {},
    giveUp: (why) => {
      Effect.runSync(Effect.logError(why))
      return new SandboxLost({ container: ContainerId.make("local") })
    },
  } satisfies FileLink
})

/** As a socket would: in memory of its own, and never before the caller has returned. */
const later = (pieces: ReadonlyArray<Uint8Array>, deliver: (piece: Uint8Array) => void) => {
  const copies = pieces.map((piece) => Buffer.from(piece))
  void setImmediate().then(() => copies.forEach(deliver))
}
