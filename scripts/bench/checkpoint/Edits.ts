/** What a save adds to a call that changes one small file, or nothing, in workspaces of several sizes. */
import { Duration, Effect } from "effect"
import { randomBytes } from "node:crypto"
import { StartError } from "../../process/StartError.ts"
import type { Result } from "../Bench.ts"
import { median, row } from "../Row.ts"
import * as Node from "../sandbox/Node.ts"
import * as Session from "./Session.ts"

/** Files of a workspace, and milliseconds that one changed file may add. */
const sizes = [
  { files: 100, most: 10 },
  { files: 1000, most: 15 },
  { files: 20_000, most: 30 },
] as const

const rounds = 40

export const edits = (store: string) =>
  Effect.gen(function* () {
    const results: Array<Result> = []
    for (const { files, most } of sizes) {
      results.push(...(yield* Effect.scoped(ofSize(store, files, most))))
    }
    return results
  })

const ofSize = (store: string, files: number, most: number) =>
  Effect.gen(function* () {
    const sandbox = yield* Node.acquire
    const session = yield* Session.make
    yield* Session.fill(sandbox, files, 1024)
    yield* session.save(sandbox)
    const first = yield* session.stored
    const timed = (change: boolean, knows?: "saved" | "nothing") =>
      Effect.gen(function* () {
        if (change) yield* sandbox.files.write("/workspace/0/7", randomBytes(1024))
        const [taken, saved] = yield* Effect.timed(session.save(sandbox, knows))
        if (saved !== change) {
          return yield* new StartError({ problem: "A save saw the wrong thing.", remedy: "Run the tests." })
        }
        return Duration.toMillis(taken)
      })
    yield* Effect.replicateEffect(timed(true), 10)
    const before = yield* session.stored
    const changed = yield* Effect.replicateEffect(timed(true), rounds)
    const after = yield* session.stored
    yield* Effect.replicateEffect(timed(true), 100 - 10 - rounds)
    const hundred = yield* session.stored
    const unchanged = yield* Effect.replicateEffect(timed(false), rounds)
    const isLargest = files === sizes.at(-1)?.files
    const sent = isLargest ? yield* Effect.replicateEffect(timed(true, "nothing"), 5) : []
    const walked = isLargest ? yield* Effect.replicateEffect(timed(true, "saved"), 15) : []
    const measured = (name: string, taken: ReadonlyArray<number>, value?: number) =>
      row({
        name: `${name}, ${files} files, ${store}, p50`,
        unit: "ms",
        ours: median(taken),
        ...(value === undefined ? {} : { target: { of: "ours", is: "at most", value } }),
        n: taken.length,
      })
    return [
      measured("one file of 1 KB changed", changed, most),
      measured("nothing changed", unchanged, 5),
      ...(isLargest
        ? [
            measured("one changed, by a look at all", walked, 150),
            measured("one changed, nothing known, all sent", sent),
          ]
        : []),
      row({
        name: `bytes stored by an edit, ${files} files, ${store}`,
        unit: "B",
        ours: (after - before) / rounds,
        n: rounds,
      }),
      row({
        name: `stored after 100 edits of one file, ${files} files, ${store}`,
        unit: "x the first save",
        ours: hundred / first,
        n: 100,
      }),
    ]
  })
