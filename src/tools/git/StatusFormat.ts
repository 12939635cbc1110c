/** What `git status --porcelain=v2 --branch -z` writes, in lists. (Git's documentation, "git-status".) */
import { nameOf } from "../../agent/files/Names.ts"

interface Changed {
  readonly path: string
  readonly change: (typeof kinds)[string]
  readonly from?: string
}

/** `branch` is null where no branch is checked out, and `commit` where there is none yet. */
export interface Status {
  branch: string | null
  commit: string | null
  upstream?: string
  ahead?: number
  behind?: number
  readonly staged: Array<Changed>
  readonly unstaged: Array<Changed>
  readonly untracked: Array<string>
  readonly conflicted: Array<string>
}

/** Reads as much as is whole of it. */
export const statusOf = (output: Buffer): Status => {
  const status: Status = {
    branch: null,
    commit: null,
    staged: [],
    unstaged: [],
    untracked: [],
    conflicted: [],
  }
  const records = output.toString("latin1").split("\0").slice(0, -1)
  for (let at = 0; at < records.length; at++) {
    const record = records[at]!
    const fields = record.split(" ")
    const rest = (count: number) => textOf(fields.slice(count).join(" "))
    switch (fields[0]) {
      case "#":
        header(status, fields[1], rest(2))
        break
      case "1":
        changed(status, fields[1], rest(8))
        break
      case "2":
        changed(status, fields[1], rest(9), textOf(records[++at] ?? ""))
        break
      case "u":
        status.conflicted.push(rest(10))
        break
      case "?":
        status.untracked.push(rest(1))
        break
    }
  }
  return status
}

const header = (status: Status, name: string | undefined, value: string) => {
  if (name === "branch.oid") status.commit = value === "(initial)" ? null : value
  if (name === "branch.head") status.branch = value === "(detached)" ? null : value
  if (name === "branch.upstream") status.upstream = value
  const counts = name === "branch.ab" ? /^\+(\d+) -(\d+)$/.exec(value) : null
  if (counts !== null) {
    status.ahead = Number(counts[1])
    status.behind = Number(counts[2])
  }
}

const changed = (status: Status, letters = "..", path: string, from?: string) => {
  for (const [list, letter] of [
    [status.staged, letters[0]],
    [status.unstaged, letters[1]],
  ] as const) {
    const change = kinds[letter ?? "."]
    const isFromElsewhere = change === "renamed" || change === "copied"
    if (change !== undefined)
      list.push({ path, change, ...(isFromElsewhere && from !== undefined ? { from } : {}) })
  }
}

const kinds: Readonly<Record<string, "modified" | "type" | "added" | "deleted" | "renamed" | "copied">> = {
  M: "modified",
  T: "type",
  A: "added",
  D: "deleted",
  R: "renamed",
  C: "copied",
}

/** Names as other tools write them: a byte that is no UTF-8 keeps its own character. */
const textOf = (bytes: string) => nameOf(Buffer.from(bytes, "latin1"))
