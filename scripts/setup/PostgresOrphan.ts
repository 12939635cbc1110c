/** A Postgres whose owner was killed outright, so that nobody shut it down. */
import { Effect, Option, Schedule } from "effect"
import { existsSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { step } from "../process/Progress.ts"

/**
 * Shuts down the server that still runs on `data`, or removes the note of one that is gone (its process id may
 * be another program's by now). The caller holds the folder's lock: the server is nobody's.
 */
export const endOrphan = (data: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    const note = join(data, "postmaster.pid")
    if (!existsSync(note)) return
    const pid = Number(readFileSync(note, "utf8").split("\n")[0])
    if (!servesData(pid, data)) return yield* Effect.sync(() => rmSync(note, { force: true }))
    yield* step("Shutting down a Postgres that an earlier start left behind …")
    yield* send(pid, "SIGINT")
    const gone = Effect.sync(() => servesData(pid, data)).pipe(
      Effect.repeat({ while: (there) => there, schedule: Schedule.spaced("50 millis") }),
    )
    const isGone = Option.isSome(yield* Effect.timeoutOption(gone, "20 seconds"))
    if (!isGone) yield* Effect.zipRight(send(pid, "SIGQUIT"), gone)
  })

const servesData = (pid: number, data: string): boolean => {
  const file = `/proc/${pid}/cmdline`
  if (!Number.isInteger(pid) || !existsSync(file)) return false
  const words = readFileSync(file, "utf8").split("\0")
  return words[words.indexOf("-D") + 1] === data
}

const send = (pid: number, signal: NodeJS.Signals) =>
  Effect.ignore(Effect.try(() => process.kill(pid, signal)))
