/** The report that a runner writes to a file below /tmp, read while it grows and to its end. */
import { Effect } from "effect"
import type { Sandbox } from "../../sandbox/Sandbox.ts"
import type { Collector } from "./Collector.ts"
import type { ReportReader } from "./Runner.ts"
import { script } from "../commands/SandboxScript.ts"

/** Reads a file below /tmp in pieces of what one command may write, from where it came last to what is its end then. */
export const reading = (
  sandbox: Sandbox,
  path: string,
  piece: number,
  reader: ReportReader,
  collector: Collector,
) => {
  let offset = 0
  const more: Effect.Effect<void, Effect.Effect.Error<ReturnType<typeof script>>> = Effect.gen(function* () {
    const data = yield* script(sandbox, pieceOf, [path, String(offset + 1), String(piece)])
    offset += data.length
    for (let at = 0; at < data.length; at += slice) {
      reader.push(data.subarray(at, at + slice))
      // What a hostile report costs holds up nobody else.
      yield* Effect.yieldNow()
    }
    if (data.length < piece) return
    if (offset < maxReport) yield* more
    else collector.note(`The report is read as far as its first ${offset} bytes.`)
  })
  return more
}

const pieceOf = '[ -f "$1" ] && tail -c "+$2" "$1" | head -c "$3"'

/** Bytes that are read in one go. */
const slice = 32 * 1024

/** Bytes of a report. */
const maxReport = 32 * 1024 * 1024
