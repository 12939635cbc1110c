/** What `.gitignore` files say, as gitignore(5) has it: the last pattern that matches decides, the nearest file first. */
import { constants, open } from "node:fs/promises"
import { name, path, type PathPattern } from "./Patterns.ts"
import { at, type Handle } from "../files/Workspace.ts"

/** Bytes of one file, and of one pattern, that are looked at. */
const maxFile = 64 * 1024
const maxPattern = 1024

/** The rules of a folder and of those above it. */
export interface Ignores {
  readonly above: Ignores | undefined
  /** Parts of the folder's path. */
  readonly depth: number
  /** From the last to the first. */
  readonly rules: ReadonlyArray<Rule>
}

interface Rule {
  readonly negated: boolean
  readonly folders: boolean
  readonly matches: PathPattern
}

/** Adds what the folder's own `.gitignore` says, if it has one. */
export const enter = async (above: Ignores | undefined, folder: Handle, depth: number) => {
  const text = await contents(folder)
  return text === undefined ? above : { above, depth, rules: rulesOf(text) }
}

/** Says whether a path, given as its parts, is ignored; that of a folder which is need not be gone into. */
export const isIgnored = (ignores: Ignores | undefined, parts: ReadonlyArray<string>, folder: boolean) => {
  for (let at = ignores; at !== undefined; at = at.above) {
    const inside = parts.slice(at.depth)
    const rule = at.rules.find((rule) => (folder || !rule.folders) && rule.matches(inside))
    if (rule !== undefined) return !rule.negated
  }
  return false
}

export const rulesOf = (text: string): ReadonlyArray<Rule> =>
  text
    .replace(/^\ufeff/, "")
    .split(/\r?\n/)
    .flatMap((line) => ruleOf(line) ?? [])
    .toReversed()

const ruleOf = (line: string): Rule | undefined => {
  // Spaces at the end count only after a backslash.
  const end = /(?<!\\)(?:\\\\)*\\ +$/.test(line) ? line.replace(/(\\ ) *$/, "$1") : line.trimEnd()
  if (end === "" || end.startsWith("#") || end.length > maxPattern) return undefined
  const negated = end.startsWith("!")
  const pattern = negated ? end.slice(1) : end
  const folders = pattern.endsWith("/")
  const bare = folders ? pattern.slice(0, -1) : pattern
  if (bare === "") return undefined
  if (bare.includes("/")) return { negated, folders, matches: path(bare) }
  const matchesName = name(bare)
  return { negated, folders, matches: (parts) => matchesName(parts.at(-1) ?? "") }
}

const contents = async (folder: Handle) => {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const file = await open(at(folder, ".gitignore"), flags).catch(() => undefined)
  if (file === undefined) return undefined
  try {
    if (!(await file.stat()).isFile()) return undefined
    const { buffer, bytesRead } = await file.read(Buffer.alloc(maxFile), 0, maxFile, 0)
    return buffer.toString("utf8", 0, bytesRead)
  } finally {
    await file.close()
  }
}
