/** How fast all files of a workspace are saved for the first time, and restored in another sandbox. */
import { SqlClient } from "@effect/sql"
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import type { Measured } from "../Row.ts"
import { median, row } from "../Row.ts"
import * as Node from "../sandbox/Node.ts"
import * as Session from "./Session.ts"

const rounds = 3

const large = { count: 8, size: 25_000_000 }
const small = { count: 5000, size: 1024 }

export const wholes = (store: string) =>
  Effect.gen(function* () {
    const ofLarge = yield* Effect.replicateEffect(Effect.scoped(once(large)), rounds)
    const ofSmall = yield* Effect.replicateEffect(Effect.scoped(once(small)), rounds)
    const raw = yield* rawBytes
    const megabytes = (large.count * large.size) / 1e6
    const of = (name: string, unit: string, amount: number, taken: ReadonlyArray<number>, least: number) =>
      row({
        name: `${name}, ${store}`,
        unit,
        ours: amount / (median(taken) / 1000),
        n: taken.length,
        ...(store === "folder"
          ? { target: { of: "ours", is: "at least", value: least } satisfies Measured["target"] }
          : unit === "MB/s"
            ? { baseline: { what: "inserts of bytea", value: raw } }
            : {}),
      })
    const times = (all: typeof ofLarge, what: "saved" | "restored") => all.map((one) => one[what])
    return [
      of(`${megabytes} MB in 8 files, first save`, "MB/s", megabytes, times(ofLarge, "saved"), 100),
      of(`${megabytes} MB in 8 files, restore`, "MB/s", megabytes, times(ofLarge, "restored"), 100),
      of("5,000 files of 1 KB, first save", "files/s", small.count, times(ofSmall, "saved"), 5000),
      of("5,000 files of 1 KB, restore", "files/s", small.count, times(ofSmall, "restored"), 5000),
    ]
  })

const once = ({ count, size }: typeof large) =>
  Effect.gen(function* () {
    const sandbox = yield* Node.acquire
    const session = yield* Session.make
    yield* Session.fill(sandbox, count, size)
    const saved = yield* Node.time(session.save(sandbox))
    const other = yield* Node.acquire
    const restored = yield* Node.time(session.restore(other))
    return { saved, restored }
  })

/** MB a second of plain inserts, each of 4 MB and committed by itself. */
const rawBytes = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE raw (data bytea)`
  yield* sql`ALTER TABLE raw ALTER COLUMN data SET STORAGE EXTERNAL`
  const data = randomBytes(4 * 1024 * 1024)
  const count = 25
  const taken = yield* Node.time(Effect.replicateEffect(sql`INSERT INTO raw VALUES (${data})`, count))
  return (count * data.length) / 1e6 / (taken / 1000)
})
