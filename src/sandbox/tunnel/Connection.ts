/**
 * One connection of a program, from its request to its end. The node resolves the name and dials the very address that
 * it judged; of what a program sends by TLS, it looks at the name that it asks the host for. What has come waits in the
 * channel's window, so that a peer that is slow or stands still costs a bounded amount of memory.
 */
import type { Channel, ChannelHandler } from "../../agent/Channel.ts"
import { Chunks } from "../../agent/Chunks.ts"
import { hostName } from "../../domain/Network.ts"
import type { Socket } from "node:net"
import type { Destinations } from "./Destinations.ts"
import { TooManyNames } from "./Outside.ts"
import { handshakeRecord, helloOf } from "./ServerName.ts"

/** What a connection needs of its tunnel. */
export interface Gate {
  readonly destinations: Pick<Destinations["Type"], "connect" | "refusal">
  /** The addresses of a name, as this tunnel's turn comes. */
  readonly resolve: (host: string) => Promise<ReadonlyArray<string>>
  readonly open: (handler: ChannelHandler) => Channel
  readonly allows: (host: string, port: number) => boolean
  /** Whether the node may still act for the session. */
  readonly isHeld: () => boolean
  readonly refused: (target: string, reason: string) => void
  /** It was asked for, and another one is needed to wait. */
  readonly asked: () => void
  readonly dialled: () => void
  readonly sent: (bytes: number) => void
  readonly received: (bytes: number) => void
  readonly over: () => void
}

/** In milliseconds: to find and reach a host, for a client to say whom it wants, and without a byte either way. */
export const patience = { dial: 15_000, hello: 15_000, idle: 300_000, farewell: 5_000 }

/** Bytes of a request, and pieces in which a hello may come. */
const maxRequest = 300
const maxPieces = 64

/** Addresses of one name that are tried. */
const maxAddresses = 4

type Phase = "waiting" | "dialling" | "judging" | "open" | "refused" | "over"

export class Connection {
  readonly channel: Channel
  phase: Phase = "waiting"
  /** Where it goes, once that is known. */
  target: { readonly host: string; readonly port: number } | undefined
  private readonly gate: Gate
  private readonly times: typeof patience
  private socket: Socket | undefined
  /** What came and is not passed on yet: until it may be, and then while the socket writes what came before. */
  private readonly held = new Chunks()
  private isWriting = false
  /** Times that a request or a hello was looked at and was not whole. */
  private looks = 0
  private isEnded = false
  private timer: NodeJS.Timeout | undefined

  constructor(gate: Gate, times: typeof patience) {
    this.gate = gate
    this.times = times
    this.channel = gate.open({
      data: (chunk) => this.take(chunk),
      end: () => this.end(),
      drain: () => this.socket?.resume(),
      closed: () => this.abort(),
    })
  }

  /** Ends it at once, at both ends. */
  abort() {
    if (this.phase === "over") return
    this.phase = "over"
    clearTimeout(this.timer)
    this.held.take()
    this.socket?.destroy()
    this.channel.close()
    this.gate.over()
  }

  /** The program has gone. What it has said before is still told to the host. */
  leave() {
    const socket = this.socket
    if (this.phase !== "open" || socket === undefined || (this.held.size === 0 && !this.isWriting))
      return this.abort()
    this.finish(socket, () => this.abort())
    this.within(this.times.farewell, () => this.abort())
  }

  /** The program has nothing more to say. */
  private end() {
    this.isEnded = true
    if (this.phase === "judging" && this.held.size === 0) this.phase = "open"
    if (this.phase === "open" && this.socket !== undefined) this.finish(this.socket)
    else if (this.phase === "judging") this.deny("it sent no whole ClientHello")
  }

  private within(milliseconds: number, then: () => void) {
    clearTimeout(this.timer)
    this.timer = setTimeout(then, milliseconds)
  }

  private take(chunk: Uint8Array) {
    if (!this.gate.isHeld()) return this.abort()
    if (this.phase === "open") return this.forward(chunk)
    if (this.phase === "refused" || this.phase === "over") return this.channel.consume(chunk.length)
    this.held.push(chunk)
    if (this.phase === "waiting") this.ask()
    else if (this.phase === "judging") this.judge()
  }

  /** Reads the request, once it is whole. */
  private ask() {
    const bytes = this.held.last(this.held.size)
    const end = bytes.indexOf("\n")
    if (end < 0 && bytes.length <= maxRequest && ++this.looks <= maxPieces) return
    this.looks = 0
    this.phase = "dialling"
    this.gate.asked()
    const line = bytes.toString("latin1", 0, Math.max(0, end))
    this.held.drop(end < 0 ? bytes.length : end + 1)
    this.channel.consume(end < 0 ? bytes.length : end + 1)
    const [, name = "", digits = ""] = /^(.{1,255}):(\d{1,5})$/.exec(line) ?? []
    const [host, port] = [hostName(name), Number(digits)]
    const shown = /^[\x21-\x7e]+$/.test(line) ? line.slice(0, 100) : "a request"
    if (host === undefined)
      return this.refuse(400, shown, "only names of hosts are allowed, and no addresses")
    if (!this.gate.allows(host, port)) return this.refuse(403, shown, "not in the session's network policy")
    this.target = { host, port }
    this.within(this.times.dial, () => this.refuse(504, shown, "it could not be reached in time"))
    this.dial(host, port).catch((error) =>
      error instanceof TooManyNames
        ? this.refuse(503, shown, "too many names of this session wait to be resolved; try again later")
        : this.refuse(502, shown, "its name could not be resolved"),
    )
  }

  private async dial(host: string, port: number) {
    const { destinations } = this.gate
    const shown = `${host}:${port}`
    const found = await this.gate.resolve(host)
    if (this.phase !== "dialling") return
    const [address] = found
    if (address === undefined) return this.refuse(502, shown, "its name has no address")
    const open = found.filter((address) => destinations.refusal(address, port) === undefined)
    if (open.length === 0) {
      return this.refuse(
        403,
        shown,
        `it leads to ${address}, which is ${destinations.refusal(address, port)}`,
      )
    }
    this.attempt(shown, port, open.slice(0, maxAddresses))
  }

  /** Dials the first address, and the others where that one cannot be reached. */
  private attempt(shown: string, port: number, [address = "", ...others]: ReadonlyArray<string>) {
    if (!this.gate.isHeld()) return this.abort()
    const socket = this.gate.destinations.connect(address, port)
    this.socket = socket
    let isConnected = false
    let isWhole = false
    socket.once("connect", () => {
      isConnected = true
      if (this.phase === "dialling") this.begin(socket)
    })
    socket.on("data", (chunk) => {
      if (!this.gate.isHeld()) return this.abort()
      this.gate.received(chunk.length)
      this.channel.write(chunk)
      if (this.channel.waiting > 0) socket.pause()
    })
    socket.on("end", () => {
      isWhole = true
      this.channel.end()
    })
    socket.on("error", () => {
      // What it said before it went may still be on its way to the program.
      if (isConnected) return isWhole ? undefined : this.abort()
      if (this.phase !== "dialling") return
      if (others.length > 0) this.attempt(shown, port, others)
      else this.refuse(502, shown, "it could not be reached")
    })
    socket.on("timeout", () => this.abort())
  }

  private begin(socket: Socket) {
    this.gate.dialled()
    this.channel.write(Buffer.from("200\n"))
    socket.setTimeout(this.times.idle)
    this.phase = "judging"
    if (this.isTls()) this.within(this.times.hello, () => this.deny("it sent no whole ClientHello in time"))
    else clearTimeout(this.timer)
    this.judge()
  }

  /** By the port, or by the first byte that came. */
  private isTls() {
    return this.target?.port === 443 || this.held.at(0)?.[0] === handshakeRecord
  }

  /** Decides by the first bytes whether what comes is passed on. */
  private judge() {
    if (this.held.size === 0) return this.isEnded ? this.end() : undefined
    if (this.isTls()) {
      const hello = helloOf(this.held.last(this.held.size))
      if (hello._tag === "Refused") return this.deny(hello.reason)
      if (hello._tag === "Incomplete") {
        if (this.isEnded) return this.deny("it sent no whole ClientHello")
        return ++this.looks > maxPieces ? this.deny("its ClientHello comes in too many pieces") : undefined
      }
      const name = hostName(hello.name)
      if (name !== this.target?.host) return this.deny(`it asks for ${name ?? "another name"} by TLS`)
    }
    clearTimeout(this.timer)
    this.phase = "open"
    this.gate.sent(this.held.size)
    if (this.socket === undefined) return
    if (this.isEnded) this.finish(this.socket)
    else this.pass(this.socket)
  }

  private forward(chunk: Uint8Array) {
    this.gate.sent(chunk.length)
    this.held.push(chunk)
    if (this.socket !== undefined && !this.isWriting) this.pass(this.socket)
  }

  /** Gives the socket what is held. What comes until that is written waits, and goes together. */
  private pass(socket: Socket) {
    const bytes = this.held.size
    if (bytes === 0) return
    this.isWriting = true
    const written = () => {
      this.isWriting = false
      this.channel.consume(bytes)
      if (this.phase === "open") this.pass(socket)
    }
    socket.cork()
    const chunks = this.held.take()
    for (const [index, chunk] of chunks.entries()) {
      socket.write(chunk, index === chunks.length - 1 ? written : undefined)
    }
    socket.uncork()
  }

  /** Gives it all that is held, and the end. */
  private finish(socket: Socket, then?: () => void) {
    this.pass(socket)
    socket.end(then)
  }

  /** Ends what was begun already, so that its reason is told only by the tunnel. */
  private deny(reason: string) {
    this.gate.refused(`${this.target?.host}:${this.target?.port}`, reason)
    this.abort()
  }

  /** Answers with the reason; the program's end of it follows, or is not waited for. */
  private refuse(status: number, shown: string, reason: string) {
    if (this.phase === "over" || this.phase === "refused") return
    this.phase = "refused"
    this.socket?.destroy()
    this.gate.refused(shown, reason)
    this.channel.write(Buffer.from(`${status} ${shown}: ${reason}\n`))
    this.channel.end()
    this.channel.consume(this.held.size)
    this.held.take()
    this.within(this.times.farewell, () => this.abort())
  }
}
