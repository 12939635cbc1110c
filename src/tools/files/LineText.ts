/** Lines of a file as `read_file` answers them. */
import { isUtf8 } from "node:buffer"
import { partialCharacter } from "../Tool.ts"
import { linesOf } from "./Lines.ts"

/** Characters of the lines of one answer, as JSON writes them. */
const limit = 36_000

/** What an agent read from a line on. */
interface Page {
  readonly data: Uint8Array
  readonly size: number
  /** The byte that the first line begins with. */
  readonly offset: number
  /** The last line goes on. */
  readonly cut: boolean
  readonly totalLines: number | null
}

/** As many whole lines as fit; where not even the first does, as much of it as fits. */
export const lineText = ({ cut, data, offset, size, totalLines }: Page, first: number, numbered: boolean) => {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length)
  const read = linesOf(bytes)
  const whole = cut && read.length > 1 ? read.slice(0, -1) : read
  const rows = whole.map((line, index) => (numbered ? `${first + index}\t` : "") + decode(line))
  let left = limit
  const fit = rows.findIndex((row) => (left -= cost(row)) < 0)
  const isTooLong = fit === 0 || (cut && read.length === 1)
  const shown = isTooLong ? whole.slice(0, 1) : whole.slice(0, fit < 0 ? undefined : fit)
  const head = isTooLong ? beginning(whole[0]!, limit - 20) : undefined
  const next = first + shown.length
  const used = offset + shown.reduce((sum, { length }) => sum + length, 0)
  const more = totalLines === null ? used < size || isTooLong : next <= totalLines
  const isText = shown.every((line) => isUtf8(line)) || (head !== undefined && isUtf8(head))
  const notes = [
    ...(head === undefined ? [] : [`Line ${first} is cut; its rest begins at next_offset.`]),
    ...(isText ? [] : ["Bytes that are no UTF-8 are shown as U+FFFD."]),
  ]
  return {
    content:
      head === undefined
        ? rows.slice(0, shown.length).join("")
        : `${numbered ? `${first}\t` : ""}${decode(head)}`,
    encoding: "utf8" as const,
    size,
    ...(head === undefined ? {} : { next_offset: offset + head.length }),
    ...(totalLines === null ? {} : { total_lines: totalLines }),
    ...(more ? { next_line: next } : {}),
    ...(notes.length === 0 ? {} : { note: notes.join(" ") }),
  }
}

/** As much of a line as JSON writes in some characters, ending with a whole one. */
const beginning = (line: Buffer, most: number): Buffer => {
  const taken = cost(decode(line))
  if (taken > most) return beginning(line.subarray(0, Math.floor((line.length * most) / taken)), most)
  return line.subarray(0, line.length - partialCharacter(line))
}

const cost = (text: string) => JSON.stringify(text).length - 2

const decode = (bytes: Buffer) => decoder.decode(bytes)
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })
