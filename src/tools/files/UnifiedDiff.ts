/**
 * What replacements change in a file, as a unified diff for people and models to read. It comes from the replacements
 * themselves, not from a comparison of whole files, so that it costs what they cost.
 */
import type { Replacement } from "./Edits.ts"
import { lineEnd, lineNumbers, linesOf, lineStart, newline } from "./Lines.ts"

/** Lines around a change. */
const context = 3

/** Characters shown of one line. */
const maxLine = 500

/** Lines removed times lines added that are compared one by one; larger changes are shown as they are. */
const maxCells = 250_000

/** Whole lines that give way to others. */
interface Change {
  readonly from: number
  readonly to: number
  /** Of the old file, from 1. */
  readonly line: number
  readonly removed: ReadonlyArray<Buffer>
  readonly added: ReadonlyArray<Buffer>
}

/** The diff, up to `limit` characters as JSON writes them; `cut` says that there is more, or that a line is shortened. */
export const unifiedDiff = (
  path: string,
  file: Buffer,
  replacements: ReadonlyArray<Replacement>,
  limit: number,
) => {
  const name = /[\p{Cc}"\\]/u.test(path) ? JSON.stringify(path).slice(1, -1) : path
  let diff = `--- a/${name}\n+++ b/${name}\n`
  let left = limit - diff.length
  let shift = 0
  let cut = false
  for (const hunk of hunksOf(changesOf(file, replacements))) {
    const shown = render(file, hunk, shift)
    shift += shown.shift
    cut ||= shown.cut
    for (const row of shown.rows) {
      left -= JSON.stringify(row).length
      if (left < 0) return { diff, cut: true }
      diff += `${row}\n`
    }
  }
  return { diff, cut }
}

/** The changes, one by one, as long as somebody asks for more. */
function* changesOf(file: Buffer, replacements: ReadonlyArray<Replacement>): Generator<Change> {
  const starts = lineNumbers(
    file,
    replacements.map(({ from }) => from),
  )
  for (let index = 0; index < replacements.length;) {
    const { from } = replacements[index]!
    const line = starts[index]!
    const begin = lineStart(file, from)
    const pieces: Array<Buffer> = []
    let done = begin
    let end = begin
    // Those on the same lines are one change.
    while (index < replacements.length && replacements[index]!.from < Math.max(end, from + 1)) {
      const { from, text, to } = replacements[index]!
      pieces.push(file.subarray(done, from), text)
      done = to
      if (to >= end) end = lineEnd(file, to)
      index++
    }
    pieces.push(file.subarray(done, end))
    yield* refined(begin, line, linesOf(file.subarray(begin, end)), linesOf(Buffer.concat(pieces)))
  }
}

/** The lines that really differ, by their longest common subsequence. */
function* refined(from: number, line: number, old: ReadonlyArray<Buffer>, fresh: ReadonlyArray<Buffer>) {
  let head = 0
  while (head < Math.min(old.length, fresh.length) && old[head]!.equals(fresh[head]!)) head++
  let tail = 0
  while (
    tail < Math.min(old.length, fresh.length) - head &&
    old[old.length - 1 - tail]!.equals(fresh[fresh.length - 1 - tail]!)
  )
    tail++
  const removed = old.slice(head, old.length - tail)
  const added = fresh.slice(head, fresh.length - tail)
  const begin = from + sizeOf(old.slice(0, head))
  if (removed.length * added.length > maxCells || removed.length === 0 || added.length === 0) {
    if (removed.length + added.length > 0) yield changeOf(begin, line + head, removed, added)
    return
  }
  const width = added.length + 1
  /** Of the rest of both from there: the length of the longest common subsequence. */
  const common = new Uint16Array((removed.length + 1) * width)
  const isSame = (one: number, other: number) => removed[one]!.equals(added[other]!)
  for (let one = removed.length - 1; one >= 0; one--) {
    for (let other = added.length - 1; other >= 0; other--) {
      common[one * width + other] = isSame(one, other)
        ? common[(one + 1) * width + other + 1]! + 1
        : Math.max(common[(one + 1) * width + other]!, common[one * width + other + 1]!)
    }
  }
  let at = begin
  for (let one = 0, other = 0; one < removed.length || other < added.length;) {
    const [first, second] = [one, other]
    while (
      (one < removed.length || other < added.length) &&
      !(one < removed.length && other < added.length && isSame(one, other))
    ) {
      const isRemoval =
        other === added.length ||
        (one < removed.length && common[(one + 1) * width + other]! >= common[one * width + other + 1]!)
      if (isRemoval) one++
      else other++
    }
    const gone = removed.slice(first, one)
    if (one > first || other > second) {
      yield changeOf(at, line + head + first, gone, added.slice(second, other))
    }
    at += sizeOf(gone)
    while (one < removed.length && other < added.length && isSame(one, other)) {
      at += removed[one]!.length
      one++
      other++
    }
  }
}

const changeOf = (
  from: number,
  line: number,
  removed: ReadonlyArray<Buffer>,
  added: ReadonlyArray<Buffer>,
): Change => ({ from, to: from + sizeOf(removed), line, removed, added })

/** Changes whose surroundings touch are one hunk. */
function* hunksOf(changes: Iterable<Change>): Generator<ReadonlyArray<Change>> {
  let hunk: Array<Change> = []
  for (const change of changes) {
    const last = hunk.at(-1)
    if (last !== undefined && change.line - (last.line + last.removed.length) > 2 * context) {
      yield hunk
      hunk = []
    }
    hunk.push(change)
  }
  if (hunk.length > 0) yield hunk
}

const render = (file: Buffer, hunk: ReadonlyArray<Change>, shift: number) => {
  const [first, last] = [hunk[0]!, hunk.at(-1)!]
  let begin = first.from
  for (let count = 0; count < context && begin > 0; count++) begin = lineStart(file, begin - 1)
  let end = last.to
  for (let count = 0; count < context && end < file.length; count++) end = lineEnd(file, end)
  const rows: Array<string> = []
  let [old, fresh] = [0, 0]
  let cut = false
  const show = (mark: string, lines: ReadonlyArray<Buffer>) => {
    for (const line of lines) {
      const text = textOf(line)
      cut ||= text.length > maxLine
      rows.push(`${mark}${text.length > maxLine ? `${text.slice(0, maxLine)} […]` : text}`)
      if (line[line.length - 1] !== newline) rows.push("\\ No newline at end of file")
    }
    if (mark !== "+") old += lines.length
    if (mark !== "-") fresh += lines.length
  }
  let done = begin
  for (const { added, from, removed, to } of hunk) {
    show(" ", linesOf(file.subarray(done, from)))
    show("-", removed)
    show("+", added)
    done = to
  }
  const before = linesOf(file.subarray(begin, first.from)).length
  show(" ", linesOf(file.subarray(done, end)))
  const start = first.line - before
  const head = `@@ -${place(start, old)} +${place(start + shift, fresh)} @@`
  return { rows: [head, ...rows], shift: fresh - old, cut }
}

/** A range of no lines stands after the line that it names. */
const place = (start: number, count: number) =>
  count === 0 ? `${start - 1},0` : count === 1 ? `${start}` : `${start},${count}`

const textOf = (line: Buffer) => {
  const end = line[line.length - 1] === newline ? line.length - 1 : line.length
  return line.toString("utf8", 0, Math.min(end, 4 * (maxLine + 1)))
}

const sizeOf = (lines: ReadonlyArray<Buffer>) => lines.reduce((size, { length }) => size + length, 0)
