/** What a search answers: the lines that were found, read from their files with those around them, within bounds. */
import { constants, open, type FileHandle } from "node:fs/promises"
import type { GrepReply } from "../files/FileProtocol.ts"
import type { Hit } from "./Matcher.ts"
import { at, type Handle, type Workspace } from "../files/Workspace.ts"

/** Characters shown of one line. */
const maxText = 500

/** Bytes read before and after a hit for the lines around it, and for the line alone. */
const around = 32 * 1024
const alone = 4 * maxText

type File = (typeof GrepReply.Type)["files"][number]
type Line = File["lines"][number]

export class Found {
  readonly files: Array<File> = []
  full = false
  private matches = 0
  private bytes = 0
  private readonly context: number
  private readonly limit: number
  private readonly maxBytes: number

  constructor({
    context,
    limit,
    maxBytes,
  }: {
    readonly context: number
    readonly limit: number
    readonly maxBytes: number
  }) {
    this.context = context
    this.limit = limit
    this.maxBytes = maxBytes
  }

  /** Matches that there is room for. */
  get left() {
    return this.limit - this.matches
  }

  /** Adds the hits of one file, which stands at `name` from a folder. */
  async add(workspace: Workspace, folder: Handle, name: string, path: string, hits: ReadonlyArray<Hit>) {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
    const file = await open(at(folder, name), flags).catch(() => undefined)
    if (file === undefined) return
    try {
      if (!(await file.stat()).isFile() || !(await workspace.holds(file))) return
      const lines: Array<Line> = []
      for (const hit of hits) {
        if (this.left === 0) this.full = true
        if (this.full) break
        await this.addHit(file, hit, lines)
      }
      if (lines.length > 0) this.files.push({ path, lines })
    } finally {
      await file.close()
    }
  }

  private async addHit(file: FileHandle, { line, offset }: Hit, lines: Array<Line>) {
    const from = this.context === 0 ? offset : Math.max(0, offset - around)
    const size = offset - from + (this.context === 0 ? alone : around)
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(size), 0, size, from)
    const start = Math.min(offset - from, bytesRead)
    // What ends with a line's end has nothing after it that is a line.
    const before = linesOf(buffer.subarray(0, start))
      .slice(from === 0 ? 0 : 1, -1)
      .slice(-this.context || Infinity)
    const after = linesOf(buffer.subarray(start, bytesRead))
    if (after.length > 1 && after.at(-1) === "") after.pop()
    const last = lines.at(-1)?.line ?? 0
    const fresh = [...before, ...after.slice(0, 1 + this.context)]
      .map((text, index) => ({ text, line: line - before.length + index }))
      .filter((shown) => shown.line > last)
      .map(({ text, line: number }) => ({ line: number, text, match: number === line }))
    const cost = fresh.reduce((sum, { text }) => sum + Buffer.byteLength(JSON.stringify(text)) + 40, 0)
    if (this.bytes + cost > this.maxBytes) {
      this.full = true
      return
    }
    this.bytes += cost
    this.matches++
    const seen = lines.findIndex((seen) => seen.line === line)
    if (seen >= 0) lines[seen] = { ...lines[seen]!, match: true }
    lines.push(...fresh)
  }
}

const linesOf = (bytes: Buffer) => {
  const lines: Array<string> = []
  for (let from = 0; ;) {
    const end = bytes.indexOf(10, from)
    lines.push(textOf(bytes.subarray(from, end < 0 ? bytes.length : end)))
    if (end < 0) return lines
    from = end + 1
  }
}

const textOf = (line: Buffer) =>
  line
    .subarray(0, line[line.length - 1] === 13 ? -1 : undefined)
    .toString("utf8", 0, Math.min(line.length, alone))
    .slice(0, maxText)
    .replace(/[\ud800-\udbff]$/, "")
