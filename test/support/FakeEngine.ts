/**
 * An engine with one container, whose program is a test's own: an agent that does as it should, but for what a test
 * makes it say. It knows no more of the engine's API than a link needs.
 */
import { Effect, Layer } from "effect"
import type Dockerode from "dockerode"
import { Duplex } from "node:stream"
import { Channels } from "../../src/agent/Channels.ts"
import { encode, type Kind, version } from "../../src/agent/Frame.ts"
import { Listener } from "../../src/agent/Listener.ts"
import type { ToAgent } from "../../src/agent/Protocol.ts"
import { SandboxError } from "../../src/domain/SandboxError.ts"
import { Docker } from "../../src/sandbox/Docker.ts"

export class FakeEngine {
  /** What the agent does with a message instead of answering it, once set. */
  onMessage: ((message: ToAgent) => boolean) | undefined
  /** Whether a new attachment is answered at all. */
  isDeaf = false
  running = true
  exitCode = 0
  attached = 0
  killed = 0
  /** The engine's answer to the next calls, in place of its own. */
  readonly failures: Array<{ readonly statusCode: number }> = []
  readonly agent: Channels
  private stream: Duplex | undefined
  readonly listener: Listener

  readonly layer = Layer.succeed(Docker, {
    engine: "fake",
    memory: 1e9,
    use: (operation, call) =>
      Effect.tryPromise({
        try: () => call({ getContainer: () => this.container } as unknown as Dockerode),
        catch: (cause) => new SandboxError({ operation, cause }),
      }),
  } as Docker["Type"])

  constructor() {
    const write = (pieces: ReadonlyArray<Uint8Array>) => this.says(...pieces)
    this.agent = new Channels({
      send: write,
      message: (message) => this.answer(message as ToAgent),
      follows: true,
    })
    this.listener = new Listener(this.agent, write)
  }

  /** Sends bytes of the agent's output, as they are. */
  says(...pieces: ReadonlyArray<Uint8Array>) {
    const bytes = Buffer.concat(pieces)
    const header = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0])
    header.writeUInt32BE(bytes.length, 4)
    this.stream?.push(Buffer.concat([header, bytes]))
  }

  frame(kind: Kind, channel: number, payload?: Uint8Array) {
    this.says(...encode(this.attached, kind, channel, payload))
  }

  /** Ends the attachment, as an engine does whose connection breaks or whose container ends. */
  detach() {
    this.stream?.destroy()
  }

  private readonly container = {
    attach: async () => {
      this.throwFailure()
      this.attached++
      const stream = new Duplex({
        read: () => {},
        write: (chunk: Buffer, _, done) => {
          if (!this.isDeaf) this.listener.push(chunk)
          done()
        },
      })
      this.stream = stream
      return stream
    },
    inspect: async () => {
      this.throwFailure()
      return { State: { Running: this.running, ExitCode: this.exitCode } }
    },
    kill: async () => {
      this.killed++
    },
  }

  private throwFailure() {
    const failure = this.failures.shift()
    if (failure !== undefined) throw Object.assign(new TypeError("the engine refuses"), failure)
  }

  private answer(message: ToAgent) {
    if (this.onMessage?.(message) === true) return
    if (message.type === "hello") this.agent.send({ type: "ready", version })
    else if ("id" in message) this.agent.send({ type: "answer", id: message.id })
  }
}
