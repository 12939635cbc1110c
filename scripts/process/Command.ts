/** A command that is run to its end, such as `apt-get install`. Its output goes to a log file. */
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import * as Child from "./Child.ts"
import { StartError } from "./StartError.ts"

export interface CommandOptions {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
  readonly user?: { readonly uid: number; readonly gid: number }
  /** The file that its output is added to. */
  readonly log: string
  /** What to do where it fails; one sentence. */
  readonly remedy: string
}

/** Runs a command; fails with its last line where it ends with another code than 0. */
export const run = ({ remedy, log, ...options }: CommandOptions): Effect.Effect<void, StartError> =>
  Effect.gen(function* () {
    const child = yield* Child.start({ ...options, output: log, stopWithin: "3 seconds" })
    const { code, signal } = yield* child.exited
    if (code === 0) return
    const how = code === null ? `was ended by ${signal}` : `failed with code ${code}`
    return yield* new StartError({
      problem: `\`${options.command} ${options.args.slice(0, 2).join(" ")}\` ${how}${lastLine(log)}.`,
      remedy: `${remedy} The log is ${log}.`,
    })
  }).pipe(Effect.scoped)

/** The last line of a log, as `: text`; empty where there is none. */
export const lastLine = (log: string): string => {
  const lines = readFileSync(log, "utf8").trimEnd().split("\n")
  const last = lines.at(-1)?.trim().replace(/\.$/, "") ?? ""
  return last === "" ? "" : `: ${last.slice(0, 300)}`
}
