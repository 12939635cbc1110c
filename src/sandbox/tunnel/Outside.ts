/** The network outside of this node, as tunnels reach it: names and connections. */
import { Context, Layer } from "effect"
import { lookup } from "node:dns/promises"
import { connect, type Socket } from "node:net"

export class Outside extends Context.Tag("codegen-mcp/sandbox/Outside")<
  Outside,
  {
    /** The addresses of a name, in the order in which to try them. */
    readonly resolve: (host: string) => Promise<ReadonlyArray<string>>
    /** Dials an address, and never a name. */
    readonly connect: (address: string, port: number) => Socket
  }
>() {
  static readonly layer = Layer.sync(Outside, () => ({
    resolve: sharing(async (host) => (await lookup(host, { all: true })).map(({ address }) => address)),
    connect: (address, port) => connect({ host: address, port, noDelay: true, allowHalfOpen: true }),
  }))
}

/** Names that are looked up at once: each takes a thread of few, which files of this process need too. */
const maxLookups = 2

/** One lookup for all who ask for a name at the same time, and few of different names. */
export const sharing = (look: (host: string) => Promise<ReadonlyArray<string>>) => {
  const running = new Map<string, Promise<ReadonlyArray<string>>>()
  const queue: Array<() => void> = []
  let free = maxLookups

  const inTurn = async (host: string) => {
    if (free > 0) free--
    else await new Promise<void>((resolve) => queue.push(resolve))
    try {
      return await look(host)
    } finally {
      const next = queue.shift()
      if (next === undefined) free++
      else next()
      running.delete(host)
    }
  }

  return (host: string) => {
    const known = running.get(host)
    if (known !== undefined) return known
    const begun = inTurn(host)
    running.set(host, begun)
    return begun
  }
}
