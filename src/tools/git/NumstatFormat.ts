/** What `git diff --numstat -z` writes: lines that came and went in each file. */
import { nameOf } from "../../agent/files/Names.ts"

export interface FileCounts {
  readonly path: string
  readonly from?: string
  /** None for binary contents. */
  readonly added?: number
  readonly removed?: number
}

/** Reads as much as is whole of it. */
export const countsOf = (output: Buffer): ReadonlyArray<FileCounts> => {
  const records = output.toString("latin1").split("\0").slice(0, -1)
  const files: Array<FileCounts> = []
  for (let at = 0; at < records.length; at++) {
    const [added = "", removed = "", ...name] = records[at]!.split("\t")
    const path = name.join("\t")
    const counts = added === "-" ? {} : { added: Number(added), removed: Number(removed) }
    // The two names of a file that was renamed or copied are records of their own.
    if (path !== "") files.push({ path: textOf(path), ...counts })
    else files.push({ from: textOf(records[++at] ?? ""), path: textOf(records[++at] ?? ""), ...counts })
  }
  return files
}

const textOf = (bytes: string) => nameOf(Buffer.from(bytes, "latin1"))

/** The totals. */
export const sumOf = (files: ReadonlyArray<FileCounts>) => ({
  added: files.reduce((sum, { added = 0 }) => sum + added, 0),
  removed: files.reduce((sum, { removed = 0 }) => sum + removed, 0),
})
