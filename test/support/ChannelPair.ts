/**
 * A node's and an agent's end of a link without an engine between them: what one has sent waits until the test lets
 * it through, and the link can be cut and made again, as `Attachment.ts` does it.
 */
import type { Channel, ChannelHandler } from "../../src/agent/Channel.ts"
import { Channels } from "../../src/agent/Channels.ts"
import { mark, MarkFinder, secretOf } from "../../src/agent/Frame.ts"
import { Listener } from "../../src/agent/Listener.ts"

const secret = secretOf(Buffer.from("sixteen bytes of"))

export class ChannelPair {
  readonly node: Channels
  readonly agent: Channels
  readonly messages: { readonly toNode: Array<unknown>; readonly toAgent: Array<unknown> } = {
    toNode: [],
    toAgent: [],
  }
  /** How often the node has attached. */
  attachments = 0
  /** On their way. */
  private readonly wires = { toNode: new Wire(), toAgent: new Wire() }
  /** What the engine still has for the agent of attachments that broke. */
  private late: Buffer = Buffer.alloc(0)
  private readonly opening = new Map<number, () => void>()
  private nodeFinder: MarkFinder | undefined
  private readonly listener: Listener

  constructor() {
    this.node = new Channels({
      send: (pieces) => this.wires.toAgent.push(pieces),
      message: (message) => this.messages.toNode.push(message),
      follows: false,
    })
    this.agent = new Channels({
      send: (pieces) => this.wires.toNode.push(pieces),
      message: (message) => {
        const { opens } = message as { readonly opens?: number }
        if (opens === undefined) this.messages.toAgent.push(message)
        else this.opening.get(opens)?.()
      },
      follows: true,
    })
    this.listener = new Listener(this.agent, (pieces) => this.wires.toNode.push(pieces))
    this.attach()
  }

  private attach() {
    const number = ++this.attachments
    let current = false
    this.nodeFinder = new MarkFinder(
      secret,
      (bytes) => {
        if (current) this.node.receive(bytes)
      },
      (found) => {
        if (found === 0 && current) this.attach()
        current = found === number
      },
    )
    this.wires.toAgent.push([secret, mark(secret, number)])
    this.node.attach(number)
  }

  /**
   * Breaks the link and makes it again. Of what was on its way, the agent still gets `kept` bytes before the new mark
   * and `late` bytes when the test says so; the node's new attachment gets all but the first `lost` bytes, which came
   * while nobody was attached.
   */
  cut(kept: number, lost: number, late = 0) {
    // At once: what is late comes after it, as one connection has it.
    this.deliver("agent", kept)
    this.late = Buffer.concat([this.late, this.wires.toAgent.take(late)])
    this.wires.toAgent.clear()
    this.wires.toNode.take(lost)
    this.attach()
  }

  /** Lets the agent have bytes that are late. */
  slip(bytes: number) {
    this.wires.toAgent.unshift(this.late.subarray(0, bytes))
    this.late = this.late.subarray(bytes)
  }

  /** Lets up to so many bytes through; says whether there were any. */
  deliver(to: "node" | "agent", bytes: number) {
    const chunk = (to === "node" ? this.wires.toNode : this.wires.toAgent).take(bytes)
    if (chunk.length === 0) return false
    if (to === "node") this.nodeFinder?.push(chunk)
    else this.listener.push(chunk)
    return true
  }

  /** Lets everything through, in pieces of so many bytes, until both ends are silent. */
  settle(bytes = 100_000) {
    for (let busy = true; busy;) {
      const [one, other] = [this.deliver("node", bytes), this.deliver("agent", bytes)]
      busy = one || other
    }
  }

  /** Opens a channel at the node, and by a message at the agent, whose end is there once that has come. */
  open(id: number, node: ChannelHandler, agent: ChannelHandler) {
    const ends: { readonly node: Channel; agent: Channel | undefined } = {
      node: this.node.open(id, node),
      agent: undefined,
    }
    this.opening.set(id, () => {
      ends.agent = this.agent.open(id, agent)
    })
    this.node.send({ opens: id })
    return ends
  }
}

class Wire {
  private bytes: Buffer = Buffer.alloc(0)

  push(pieces: ReadonlyArray<Uint8Array>) {
    this.bytes = Buffer.concat([this.bytes, ...pieces])
  }

  unshift(piece: Uint8Array) {
    this.bytes = Buffer.concat([piece, this.bytes])
  }

  clear() {
    this.bytes = Buffer.alloc(0)
  }

  take(count: number) {
    const taken = this.bytes.subarray(0, count)
    this.bytes = this.bytes.subarray(count)
    return taken
  }
}
