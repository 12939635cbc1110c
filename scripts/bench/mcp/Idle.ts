/** What sessions and streams cost a node that do nothing. */
import { Effect } from "effect"
import { exec } from "../../../src/tools/commands/Exec.ts"
import { row } from "../Row.ts"
import type { Site } from "./Site.ts"

/** Sessions whose sandbox is there, with its agent at the link, and whose command's outcome is kept no more. */
export const idleSessions = ({ foreign, join, owner }: Site) =>
  Effect.gen(function* () {
    const use = (name: string) =>
      Effect.scoped(Effect.flatMap(join(name), (client) => client.call(exec.name, { argv: ["true"] })))
    const names = yield* foreign(sessions + first)
    const useAll = (names: ReadonlyArray<string>) =>
      Effect.zipRight(Effect.forEach(names, use, { concurrency: 4 }), Effect.sleep(kept))
    // What the first ones bring, compiled code above all, is not the price of each.
    yield* useAll(names.slice(0, first))
    const before = yield* owner.probe.memory
    yield* useAll(names.slice(first))
    return occupied("an idle session, memory of its owner", before, yield* owner.probe.memory, sessions, {
      of: "ours",
      is: "at most",
      value: 60,
    })
  })

/** Streams for what the server says unasked. */
export const idleStreams = ({ edge, foreign, join }: Site) =>
  Effect.gen(function* () {
    const [name = ""] = yield* foreign(1)
    const clients = yield* Effect.replicateEffect(join(name), streams)
    yield* clients[0]?.listen ?? Effect.void
    const before = yield* edge.probe.memory
    yield* Effect.forEach(clients.slice(1), ({ listen }) => listen)
    return occupied("an idle GET stream, memory of its node", before, yield* edge.probe.memory, streams - 1)
  }).pipe(Effect.scoped)

type Memory = Effect.Effect.Success<Site["owner"]["probe"]["memory"]>

const occupied = (
  name: string,
  before: Memory,
  after: Memory,
  count: number,
  target?: Parameters<typeof row>[0]["target"],
) => [
  row({
    name,
    unit: "KB",
    ours: (after.heapUsed + after.external - before.heapUsed - before.external) / count / 1e3,
    n: count,
    ...(target === undefined ? {} : { target }),
    settings: { measured: "heap and buffers after a collection" },
  }),
  row({
    name: `${name}, resident`,
    unit: "KB",
    ours: (after.rss - before.rss) / count / 1e3,
    n: count,
    settings: { measured: "resident set after a collection", residentBefore: before.rss / 1e6 },
  }),
]

const sessions = 100
const first = 30

const streams = 200

/** For how long an outcome is kept in memory and an entity that idles stays, and until that is looked at. */
const kept = "95 seconds"
