/**
 * Hunks applied to a file's bytes. Each goes where its header says, or else to the one other place, after the hunk
 * before it, where its old lines stand exactly: there is no fuzz.
 */
import { Either } from "effect"
import { lineEnd, lineNumbers, newline } from "./Lines.ts"
import { occurrences } from "./Occurrences.ts"
import type { Hunk, Row } from "./Patch.ts"

/** The patched bytes, or what is wrong with the first hunk that does not apply. */
export const patched = (file: Buffer, hunks: ReadonlyArray<Hunk>): Either.Either<Buffer, string> => {
  const fit = fitting(file, hunks)
  const pieces: Array<Buffer> = []
  /** The offset, and the lines, that are done. */
  let [done, lines, shift] = [0, 0, 0]
  let searched = 0
  for (const { at, before, rows } of hunks) {
    const [old, fresh] = [bytesOf(rows, "+", fit), bytesOf(rows, "-", fit)]
    const expected = offsetOf(file, done, before + shift - lines)
    if (!standsAt(file, expected, old)) searched += file.length - done
    if (searched > maxSearched) {
      return Either.left(
        `The hunk at line ${at} of the patch, and many before it, do not stand where they say: give the lines that the file has now.`,
      )
    }
    const place = placeOf(file, done, expected, old)
    if (place === undefined || place === "several") {
      const where = `The hunk at line ${at} of the patch does not apply`
      return Either.left(
        place === "several"
          ? `${where}: its old lines do not stand at line ${before + 1}, and in several other places.`
          : `${where}: ${difference(file, expected, before + shift + 1, old)}`,
      )
    }
    const [line] = lineNumbers(file.subarray(done), [place - done])
    shift = lines + line! - 1 - before
    pieces.push(file.subarray(done, place), fresh)
    lines += line! - 1 + linesIn(old)
    done = place + old.length
    const goesOn = place > 0 && file[place - 1] !== newline
    const isOpen = fresh.length > 0 && fresh[fresh.length - 1] !== newline && done < file.length
    if (goesOn || isOpen) {
      return Either.left(`The hunk at line ${at} of the patch puts a line without a newline before another.`)
    }
  }
  return Either.right(Buffer.concat([...pieces, file.subarray(done)]))
}

/** Bytes of one file in which hunks are looked for that stand elsewhere. */
const maxSearched = 64 * 1024 * 1024

const standsAt = (file: Buffer, place: number | undefined, old: Buffer) =>
  place !== undefined && file.subarray(place, place + old.length).equals(old)

const placeOf = (file: Buffer, done: number, expected: number | undefined, old: Buffer) => {
  const isEnd = old.length > 0 && old[old.length - 1] !== newline
  const stands = (place: number) =>
    file.subarray(place, place + old.length).equals(old) && (!isEnd || place + old.length === file.length)
  if (expected !== undefined && stands(expected)) return expected
  if (old.length === 0) return undefined
  if (isEnd) {
    const place = file.length - old.length
    return place >= done && (place === done || file[place - 1] === newline) && stands(place)
      ? place
      : undefined
  }
  const rest = file.subarray(done)
  const after = occurrences(rest, Buffer.concat([Buffer.of(newline), old]), 2, true).map(
    (at) => done + at + 1,
  )
  const [place, second] = stands(done) ? [done, ...after] : after
  return second === undefined ? place : "several"
}

/** The offset of the line that so many lines stand before, from an offset on. */
const offsetOf = (file: Buffer, from: number, lines: number) => {
  if (lines < 0) return undefined
  let offset = from
  for (let left = lines; left > 0; left--) {
    if (offset === file.length) return undefined
    offset = lineEnd(file, offset)
  }
  return offset
}

/** The first line that is another than the hunk says. */
const difference = (file: Buffer, expected: number | undefined, line: number, old: Buffer) => {
  if (expected === undefined) return "the file is shorter, or the hunks are not in order."
  let [place, at, number] = [expected, 0, line]
  while (at < old.length) {
    const [there, wanted] = [file.subarray(place, lineEnd(file, place)), old.subarray(at, lineEnd(old, at))]
    if (!there.equals(wanted)) {
      return place === file.length
        ? `the file ends before line ${number}, where the patch has ${shown(wanted)}.`
        : `line ${number} of the file is ${shown(there)}, where the patch has ${shown(wanted)}.`
    }
    place += there.length
    at += wanted.length
    number++
  }
  return "the file goes on where the patch says that it ends."
}

const shown = (line: Buffer) => {
  const text = JSON.stringify(line.toString("utf8", 0, 800).slice(0, 200).replace(/\n$/, ""))
  return line[line.length - 1] === newline ? text : `${text} without a newline at its end`
}

/** How a hunk's lines end in this file, where all of both end in the same way. */
const fitting = (file: Buffer, hunks: ReadonlyArray<Hunk>) => {
  const rows = hunks.flatMap(({ rows }) => rows.filter(({ line }) => line.endsWith("\n")))
  const returns = rows.filter(({ line }) => line.endsWith("\r\n")).length
  if (returns === 0 && endsInReturns(file)) return (line: string) => line.replace(/\n$/, "\r\n")
  if (returns === rows.length && !file.includes("\r\n") && file.length > 0) {
    return (line: string) => line.replace(/\r\n$/, "\n")
  }
  return (line: string) => line
}

const endsInReturns = (file: Buffer) => {
  let end = file.indexOf(newline)
  if (end < 0) return false
  for (; end >= 0; end = file.indexOf(newline, end + 1)) if (file[end - 1] !== 13) return false
  return true
}

const bytesOf = (rows: ReadonlyArray<Row>, without: Row["mark"], fit: (line: string) => string) =>
  Buffer.from(
    rows
      .filter(({ mark }) => mark !== without)
      .map(({ line }) => fit(line))
      .join(""),
    "latin1",
  )

const linesIn = (bytes: Buffer) => {
  let count = 0
  for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, end + 1)) count++
  return count
}
