/**
 * Matching by JavaScript's own expressions, for images without ripgrep. Some take for ever on some lines, so they run
 * in a thread of their own, which is ended when the time is over, and at the latest with the search.
 */
import type { Worker } from "node:worker_threads"
import type { Hit, Matcher, Query } from "./Matcher.ts"
import { Refusal } from "../files/Refusal.ts"
import type { Handle } from "../files/Workspace.ts"

export const make = async (folder: Handle, query: Query): Promise<Matcher> => {
  const expression = expressionOf(query)
  const { Worker } = await import("node:worker_threads")
  const worker = new Worker(`(${serve.toString()})(require)`, {
    eval: true,
    workerData: { source: expression.source, flags: expression.flags, folder: `/proc/self/fd/${folder.fd}/` },
    // In MB; the thread's buffers are not counted.
    resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8 },
  })
  // One that ends by itself fails the search that waits for it; with none waiting, nobody has to know.
  worker.on("error", () => {})
  return {
    search: (files, limit, time, found) => searchWith(worker, files, limit, time, found),
    close: () => worker.terminate(),
  }
}

const searchWith = (worker: Worker, ...[files, limit, time, found]: Parameters<Matcher["search"]>) =>
  new Promise<{ readonly late: boolean }>((resolve, reject) => {
    const done = (end: () => void) => {
      clearTimeout(timer)
      worker.off("message", take).off("error", fail).off("exit", fail)
      end()
    }
    const fail = () => done(() => reject(new Refusal("failed")))
    const take = ({ file, hits }: Found) => {
      const wanted = file !== undefined && hits.every((hit) => found(file, hit))
      if (!wanted) done(() => resolve({ late: false }))
    }
    const timer = setTimeout(() => done(() => resolve({ late: true })), time)
    worker.on("message", take).on("error", fail).on("exit", fail)
    worker.postMessage({ files, limit } satisfies Job, [])
  })

interface Job {
  readonly files: ReadonlyArray<string>
  readonly limit: number
}

/** Without a file, all have been searched. */
interface Found {
  readonly file: string | undefined
  readonly hits: ReadonlyArray<Hit>
}

const expressionOf = ({ pattern, literal, ignoreCase }: Query) => {
  // An expression for a line cannot hold its end; ripgrep refuses it too.
  if (/\n/.test(pattern) || (!literal && /(?<!\\)(?:\\\\)*\\n/.test(pattern)))
    throw new Refusal("bad_pattern")
  const inline = literal ? null : /^\(\?([ims]+)\)/.exec(pattern)
  const source = literal
    ? pattern.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")
    : pattern.slice(inline?.[0].length ?? 0)
  try {
    return new RegExp(source, `us${ignoreCase || inline?.[1]?.includes("i") === true ? "i" : ""}`)
  } catch {
    throw new Refusal("bad_pattern")
  }
}

/** The thread. It is sent there as text, so it uses nothing but its own. */
const serve = (load: NodeJS.Require) => {
  const { parentPort, workerData } = load("node:worker_threads") as typeof import("node:worker_threads")
  const { closeSync, constants, fstatSync, openSync, readSync } = load("node:fs") as typeof import("node:fs")
  const { folder, source, flags } = workerData as {
    readonly folder: string
    readonly source: string
    readonly flags: string
  }
  const expression = new RegExp(source, flags)
  const buffer = Buffer.alloc(256 * 1024)
  /** What is looked at of one line, in bytes. */
  const maxLine = 1024 * 1024

  const search = (path: string, limit: number) => {
    const hits: Array<Hit> = []
    const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      if (!fstatSync(file).isFile()) return hits
      let line = 1
      let offset = 0
      let held: Array<Buffer> = []
      let heldSize = 0
      const look = (end: Buffer) => {
        const whole = held.length === 0 ? end : Buffer.concat([...held, end])
        const size = whole.length - (whole[whole.length - 1] === 13 ? 1 : 0)
        if (expression.test(whole.toString("utf8", 0, size))) hits.push({ line, offset })
        held = []
        heldSize = 0
      }
      for (let at = 0; ;) {
        const size = readSync(file, buffer, 0, buffer.length, at)
        const piece = buffer.subarray(0, size)
        let from = 0
        for (let end = piece.indexOf(10); end >= 0; end = piece.indexOf(10, from)) {
          look(piece.subarray(from, end))
          if (hits.length === limit) return hits
          from = end + 1
          line++
          offset = at + from
        }
        at += size
        if (size === 0) {
          if (at > offset) look(Buffer.alloc(0))
          return hits
        }
        if (heldSize < maxLine) held.push(Buffer.from(piece.subarray(from)))
        heldSize += size - from
      }
    } finally {
      closeSync(file)
    }
  }

  parentPort?.on("message", ({ files, limit }: Job) => {
    for (const file of files) {
      let hits: ReadonlyArray<Hit> = []
      try {
        hits = search(folder + file, limit)
      } catch {
        // It has gone, or may not be read.
      }
      if (hits.length > 0) parentPort.postMessage({ file, hits } satisfies Found, [])
    }
    parentPort.postMessage({ file: undefined, hits: [] } satisfies Found, [])
  })
}
