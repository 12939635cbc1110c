/** The network outside of this node, as tunnels reach it: names and connections. */
import { Context, Layer } from "effect"
import { lookup } from "node:dns/promises"
import { connect, type Socket } from "node:net"

export class Outside extends Context.Tag("codegen-mcp/sandbox/Outside")<
  Outside,
  {
    /**
     * The addresses of a name, in the order in which to try them. Askers take turns; of one that has very many names
     * looked up already, it fails with `TooManyNames`.
     */
    readonly resolve: (host: string, asker: object) => Promise<ReadonlyArray<string>>
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

/** Names that wait for one asker: as many as it has connections. */
const maxWaiting = 32

/** An asker has so many names looked up that no more may wait. */
export class TooManyNames extends Error {}

/**
 * One lookup for all who ask for a name at the same time, and few of different names. Askers take turns, each with one
 * lookup at a time, so that slow names of one hold up the others as little as may be.
 */
export const sharing = (look: (host: string) => Promise<ReadonlyArray<string>>) => {
  const running = new Map<string, Promise<ReadonlyArray<string>>>()
  /** What waits, of each asker; whose turn is next comes first. */
  const waiting = new Map<object, Array<() => void>>()
  const busy = new Set<object>()
  let free = maxLookups

  const fill = () => {
    while (free > 0) {
      const [asker, queue] = [...waiting].find(([asker]) => !busy.has(asker)) ?? []
      if (asker === undefined || queue === undefined) return
      const start = queue.shift()
      waiting.delete(asker)
      if (queue.length > 0) waiting.set(asker, queue)
      free--
      busy.add(asker)
      start?.()
    }
  }

  const inTurn = async (host: string, asker: object) => {
    const queue = waiting.get(asker) ?? []
    await new Promise<void>((resolve) => {
      queue.push(resolve)
      waiting.set(asker, queue)
      fill()
    })
    try {
      return await look(host)
    } finally {
      free++
      busy.delete(asker)
      running.delete(host)
      fill()
    }
  }

  return (host: string, asker: object) => {
    const known = running.get(host)
    if (known !== undefined) return known
    if ((waiting.get(asker)?.length ?? 0) >= maxWaiting) return Promise.reject(new TooManyNames())
    const begun = inTurn(host, asker)
    running.set(host, begun)
    return begun
  }
}
