/**
 * Exact replacements in a file's bytes. All are looked for in the file as it is, so that their order means nothing, and
 * all are done or none. A file whose lines end in CRLF is matched as if they ended in LF, and what is put into it ends
 * its lines as those do where it goes.
 */
import { Either } from "effect"
import { lineNumbers, newline } from "./Lines.ts"
import { nearest } from "./Nearest.ts"
import { occurrences } from "./Occurrences.ts"

export interface Edit {
  readonly old_text: string
  readonly new_text: string
  readonly replace_all?: boolean | undefined
}

/** The bytes from `from` to before `to` give way to others. */
export interface Replacement {
  readonly from: number
  readonly to: number
  readonly text: Buffer
}

/** Why an edit cannot be done, in words; the code is the model's to tell them apart. */
export interface Problem {
  readonly code:
    "text_not_found" | "text_ambiguous" | "edits_overlap" | "nothing_to_change" | "too_many_matches"
  readonly text: string
}

/** Places that one edit may replace. */
const maxMatches = 100_000

/** Texts whose nearest place is looked for, which costs much. */
const maxNearest = 4

/** Lines that are named of a text that stands there several times. */
const maxNamed = 10

/** The replacements in order of their places. */
export const replacements = (
  file: Buffer,
  edits: ReadonlyArray<Edit>,
): Either.Either<ReadonlyArray<Replacement>, ReadonlyArray<Problem>> => {
  const view = new View(file)
  const problems: Array<Problem> = []
  const found: Array<Replacement & { readonly edit: number }> = []
  for (const [edit, { new_text, old_text, replace_all = false }] of edits.entries()) {
    const name = edits.length === 1 ? "" : `Edit ${edit + 1} of ${edits.length}: `
    const offsets = view.find(old_text)
    if (old_text === new_text) {
      problems.push({ code: "nothing_to_change", text: `${name}old_text and new_text are the same.` })
    } else if (offsets.length === 0) {
      problems.push({
        code: "text_not_found",
        text: `${name}old_text is not in the file.${problems.length < maxNearest ? nearest(file, old_text) : ""}`,
      })
    } else if (offsets.length > maxMatches) {
      problems.push({
        code: "too_many_matches",
        text: `${name}old_text stands more than ${maxMatches} times.`,
      })
    } else if (offsets.length > 1 && !replace_all) {
      problems.push({ code: "text_ambiguous", text: name + ambiguous(file, offsets) })
    } else {
      const fitted = view.fitting(new_text)
      for (const { from, to } of offsets) found.push({ from, to, text: fitted(from, to), edit })
    }
  }
  found.sort((one, other) => one.from - other.from)
  const overlap = found.findIndex(({ from }, index) => index > 0 && from < found[index - 1]!.to)
  if (overlap > 0) {
    const [first, second] = [found[overlap - 1]!, found[overlap]!]
    const [line] = lineNumbers(file, [second.from])
    problems.push({
      code: "edits_overlap",
      text: `Edits ${first.edit + 1} and ${second.edit + 1} change the same text, at line ${line}.`,
    })
  }
  return problems.length > 0 ? Either.left(problems) : Either.right(found)
}

/** The size of a file after the replacements. */
export const sizeAfter = (file: Buffer, all: ReadonlyArray<Replacement>) =>
  all.reduce((size, { from, to, text }) => size + text.length - (to - from), file.length)

export const replaced = (file: Buffer, all: ReadonlyArray<Replacement>) => {
  const pieces: Array<Buffer> = []
  let done = 0
  for (const { from, to, text } of all) {
    pieces.push(file.subarray(done, from), text)
    done = to
  }
  return Buffer.concat([...pieces, file.subarray(done)])
}

const ambiguous = (file: Buffer, offsets: ReadonlyArray<{ readonly from: number }>) => {
  const named = lineNumbers(
    file,
    offsets.slice(0, maxNamed).map(({ from }) => from),
  )
  const more = offsets.length > maxNamed ? ", …" : ""
  return `old_text stands ${offsets.length} times in the file, at the lines ${named.join(", ")}${more}.`
}

const carriageReturn = 13

/** A file as texts are looked for in it. */
class View {
  private readonly file: Buffer
  /** Without the carriage returns of its line ends; the file itself where it has none. */
  private readonly plain: Buffer
  /** A place, and the line feed that is the next one from there on. */
  private known = { since: Infinity, at: -1 }

  constructor(file: Buffer) {
    this.file = file
    this.plain = file.includes("\r\n") ? withoutReturns(file) : file
  }

  private get hasReturns() {
    return this.plain !== this.file
  }

  /** Where a text stands, in order. */
  find(text: string) {
    const given = Buffer.from(text)
    const pattern = this.hasReturns ? withoutReturns(given) : given
    const offsets = occurrences(this.plain, pattern, maxMatches + 1)
    if (offsets.length === 0 && !this.hasReturns && given.includes("\r\n")) {
      const bare = withoutReturns(given)
      return occurrences(this.plain, bare, maxMatches + 1).map((from) => ({ from, to: from + bare.length }))
    }
    if (!this.hasReturns) return offsets.map((from) => ({ from, to: from + pattern.length }))
    const places = this.inFile(offsets.flatMap((from) => [from, from + pattern.length]))
    return offsets.map((_, index) => ({ from: places[2 * index]!, to: places[2 * index + 1]! }))
  }

  /** Gives a text with the line ends of the place where it goes. */
  fitting(text: string) {
    const given = Buffer.from(text)
    if (!this.hasReturns) return () => given
    const bare = withoutReturns(given)
    const full = withReturns(bare)
    return (from: number, to: number) => (this.endsInReturn(from, to) ? full : bare)
  }

  /** Whether the first line that ends in a place, or behind it, ends in CRLF; at the end of the file the one before. */
  private endsInReturn(from: number, to: number) {
    const inside = this.file.subarray(from, to).indexOf(newline)
    const after = inside < 0 ? this.nextEnd(to) : from + inside
    const end = after < 0 ? this.file.lastIndexOf(newline) : after
    return end > 0 && this.file[end - 1] === carriageReturn
  }

  /** The next line feed; looked for once on each line, however many places are asked for. */
  private nextEnd(from: number) {
    const { at, since } = this.known
    if (from < since || (at >= 0 && from > at))
      this.known = { since: from, at: this.file.indexOf(newline, from) }
    return this.known.at
  }

  /** Ascending offsets in `plain` as offsets in the file; one between the bytes of a line end is before both. */
  private inFile(offsets: ReadonlyArray<number>) {
    let dropped = 0
    let next = this.file.indexOf("\r\n")
    return offsets.map((offset) => {
      // The line feed of this end stands at `next - dropped` in `plain`.
      while (next >= 0 && next - dropped < offset) {
        dropped++
        next = this.file.indexOf("\r\n", next + 2)
      }
      return offset + dropped
    })
  }
}

/** With LF for each CRLF. */
const withoutReturns = (bytes: Buffer) => {
  const plain = Buffer.allocUnsafe(bytes.length)
  let size = 0
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] !== carriageReturn || bytes[at + 1] !== newline) plain[size++] = bytes[at]!
  }
  return plain.subarray(0, size)
}

/** With CRLF for each LF. */
const withReturns = (bytes: Buffer) =>
  Buffer.from(bytes.toString("latin1").replaceAll("\n", "\r\n"), "latin1")
