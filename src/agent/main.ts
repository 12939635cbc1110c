/**
 * The program inside a sandbox, its process 1. It serves the one node at the other end of its standard input and
 * output, and ends with the container. A program in the sandbox may forge whatever this one says of that sandbox.
 */
import { Socket } from "node:net"
import { Channels } from "./Channels.ts"
import { Commands } from "./commands/Commands.ts"
import { Files } from "./files/Files.ts"
import { version } from "./Frame.ts"
import { maxMessage } from "./Messages.ts"
import * as Kernel from "./Kernel.ts"
import { Listener } from "./Listener.ts"
import type { Network, ToAgent, ToNode } from "./Protocol.ts"
import { Processes } from "./commands/Processes.ts"
import { Proxy } from "./network/Proxy.ts"
import * as Spill from "./commands/Spill.ts"

Kernel.widen(0)
Kernel.widen(1)
const input = new Socket({ fd: 0, readable: true, writable: false })
const output = new Socket({ fd: 1, readable: false, writable: true })

const write = (pieces: ReadonlyArray<Uint8Array>) => {
  output.cork()
  for (const piece of pieces) output.write(piece)
  process.nextTick(() => output.uncork())
}

const channels: Channels = new Channels({
  send: write,
  message: (message) => handle(message as ToAgent),
  follows: true,
})
/** What is too long to be said is said to have failed. */
const tell = (message: ToNode) => {
  const { type } = message
  const isTooLong = type === "answer" && Buffer.byteLength(JSON.stringify(message)) > maxMessage
  channels.send(isTooLong ? { type, id: message.id, failure: "failed" } : message)
}
const processes = new Processes()
const files = new Files(channels, processes)
const commands = new Commands(channels, processes, tell, () => files.still())
const proxy = new Proxy(channels, tell)
/** The environment that the node gave to commands. */
let given: Readonly<Record<string, string>> = {}
// On this signal Node lets whoever connects look into the process, and run anything in it.
process.on("SIGUSR1", () => {})
if (!Kernel.hide()) throw new Error("this process cannot be hidden")

/** Commands that start after the answer find what they need in their environment. */
const connect = async (message: Network) => {
  await proxy.set(message)
  commands.env = { ...given, ...proxy.environment(given) }
  tell({ type: "answer", id: message.id })
}

const handle = (message: ToAgent) => {
  switch (message.type) {
    case "hello":
      commands.env = given = message.env
      Spill.setLimit(message.spill)
      return tell({ type: "ready", version })
    case "start":
      files.stir()
      return void commands.start(message)
    case "signal":
      return commands.signal(message.command, message.signal)
    case "kill":
      return void commands
        .kill(message.command)
        .then((value) => tell({ type: "answer", id: message.id, value }))
    case "resize":
      return commands.resize(message)
    case "ping":
      // A link that idles has nothing else.
      channels.acknowledge()
      return tell({ type: "answer", id: message.id })
    case "network":
      return void connect(message)
    case "accept":
      return proxy.accept(message)
    case "file":
      return void files.handle(message).then((answer) => tell({ type: "answer", id: message.id, ...answer }))
  }
}

const listener = new Listener(channels, write)
input.on("data", (chunk: Buffer) => listener.push(chunk))
input.on("end", () => process.exit(0))
output.on("error", () => process.exit(1))
