/** Reads what our own reporters write: one JSON object a line. */
import { Option, Schema } from "effect"
import type { Collector } from "../Collector.ts"
import { objectsBy } from "../../JsonObject.ts"
import type { ReportReader } from "../Runner.ts"
import { Lines } from "./Lines.ts"

const Fact = Schema.Struct({
  /** `error`: what a test stands on failed. `broken`: a file could not be loaded. */
  state: Schema.optional(Schema.Literal("passed", "failed", "skipped", "error", "broken")),
  id: Schema.optional(Schema.String),
  file: Schema.optional(Schema.String),
  line: Schema.optional(Schema.Number),
  message: Schema.optional(Schema.String),
  trace: Schema.optional(Schema.String),
  expected: Schema.optional(Schema.String),
  got: Schema.optional(Schema.String),
  /** Tests that are going to run. */
  total: Schema.optional(Schema.Number),
})

export const factLines = (collector: Collector): ReportReader => {
  const decode = objectsBy(Fact)
  const lines = new Lines(maxLine, (line) => {
    const fact = Option.getOrUndefined(decode(line))
    if (fact === undefined) return
    const { id, message = "", state, total, ...rest } = fact
    const where = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined))
    if (total !== undefined) collector.total = total
    if (state === "passed" || state === "skipped") collector.count(state)
    else if (state === "failed" || state === "error")
      collector.fail({ id: id ?? "unknown", message, ...where }, state)
    else if (state === "broken")
      collector.error({ ...(id === undefined ? {} : { suite: id }), message, ...where })
  })
  return {
    push: (piece) => lines.push(piece),
    end: () => {
      lines.end()
      if (lines.dropped > 0) collector.note(`${lines.dropped} lines of the report were too long to be read.`)
    },
  }
}

/** Characters of a line. Our reporters stay below that. */
const maxLine = 256 * 1024
