/** Matching by the image's ripgrep, whose time grows with the size of the files alone. */
import type { Matcher, Query } from "./Matcher.ts"
import type { Processes } from "../commands/Processes.ts"
import { run } from "./Program.ts"
import { Refusal } from "../files/Refusal.ts"
import type { Handle } from "../files/Workspace.ts"

export const make = (program: string, processes: Processes, folder: Handle, query: Query): Matcher => ({
  search: async (files, limit, time, found) => {
    const records = new Records(found)
    const { code, complaint, how } = await run(processes, {
      path: program,
      argv: [
        program,
        ...options,
        "--max-count",
        String(limit),
        query.literal ? "--fixed-strings" : "--no-fixed-strings",
        query.ignoreCase ? "--ignore-case" : "--case-sensitive",
        "--regexp",
        query.pattern,
        "--",
        ...files,
      ],
      cwd: `/proc/self/fd/${folder.fd}`,
      limit: time,
      output: (chunk) => records.push(chunk),
    })
    // Complaints about single files are off: what is left is about the expression.
    if (how === "ended" && code === 2 && complaint !== "") throw new Refusal("bad_pattern")
    if (how === "ended" && code !== 0 && code !== 1 && code !== 2) throw new Refusal("failed")
    return { late: how === "late" }
  },
  close: async () => {},
})

/** One record a line: `path NUL number : offset : text`, the text of all but the shortest lines left out. */
const options = [
  ["--no-config", "--no-messages", "--color", "never", "--threads", "1", "--no-mmap"],
  ["--text", "--encoding", "none", "--crlf"],
  ["--no-heading", "--with-filename", "--null", "--line-number", "--byte-offset", "--max-columns", "1"],
].flat()

class Records {
  private rest: Buffer = Buffer.alloc(0)
  private readonly found: Parameters<Matcher["search"]>[3]

  constructor(found: Parameters<Matcher["search"]>[3]) {
    this.found = found
  }

  push(chunk: Buffer) {
    const all = Buffer.concat([this.rest, chunk])
    let at = 0
    for (;;) {
      const path = all.indexOf(0, at)
      const end = path < 0 ? -1 : all.indexOf(newline, path)
      if (end < 0) break
      const position = /^(\d+):(\d+):/.exec(all.toString("latin1", path + 1, Math.min(end, path + 50)))
      const hit = { line: Number(position?.[1]), offset: Number(position?.[2]) }
      if (position !== null && !this.found(all.toString("utf8", at, path), hit)) return false
      at = end + 1
    }
    this.rest = all.subarray(at)
    return true
  }
}

const newline = 10
