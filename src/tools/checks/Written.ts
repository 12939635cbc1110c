/** What a checker wrote, and how findings are read from it, also where its middle was not kept. */
import { Option, type Schema } from "effect"
import type { OutputPiece } from "../../domain/Command.ts"
import { objectsBy } from "../JsonObject.ts"

export interface Written {
  /** All of it, or what came before the gap. */
  readonly head: string
  /** What came after the gap. */
  readonly tail: string
  /** Bytes that were not kept. */
  readonly skipped: number
}

export const written = ({ data, skipped, skippedAt }: OutputPiece): Written =>
  skipped === 0
    ? { head: decode(data), tail: "", skipped }
    : { head: decode(data.subarray(0, skippedAt)), tail: decode(data.subarray(skippedAt)), skipped }

/** The lines that are whole. */
export const lines = ({ head, tail, skipped }: Written) => {
  if (skipped === 0) return head.split("\n")
  return [...head.split("\n").slice(0, -1), ...tail.split("\n").slice(1)]
}

/**
 * The lines that are as this pattern says; none of them is very long. A pattern is to take time in proportion to a
 * line's length, whatever the line: no part of it repeats what another part could take as well.
 */
export const matches = (output: Written, pattern: RegExp) =>
  lines(output).flatMap((line) => {
    const match = line.length <= maxLine ? pattern.exec(line) : null
    return match === null ? [] : [match]
  })

/** `error[E1]: what`, and on the next line `--> file:line:column`, as compilers written in Rust say it. */
export const paragraphs = (output: Written) => {
  const all = lines(output)
  return all.flatMap((line, index) => {
    const place = line.length <= maxLine ? /^ *--> (.+):(\d+):(\d+)$/.exec(line) : null
    const [, title, message = ""] =
      /^([\w-]{1,40})(?:\[\w{1,20}\])?: (.{0,2000})/.exec(all[index - 1] ?? "") ?? []
    return place === null || title === undefined
      ? []
      : [{ title, message, file: place[1]!, line: Number(place[2]), column: Number(place[3]) }]
  })
}

/** What lines of JSON say that fit; others are something else. */
export const jsonLines = <A, I>(output: Written, schema: Schema.Schema<A, I>): ReadonlyArray<A> => {
  const decode = objectsBy(schema)
  return lines(output).flatMap((line) => Option.toArray(decode(line.trimEnd())))
}

/**
 * The elements of a JSON array of objects that fit: of the first array, or of the first one that stands under this key.
 * Where the text breaks off, those that are whole.
 */
export const jsonElements = <A, I>(
  { head }: Written,
  schema: Schema.Schema<A, I>,
  key?: string,
): ReadonlyArray<A> => {
  const decode = objectsBy(schema)
  const at = key === undefined ? 0 : head.search(new RegExp(`"${key}"\\s*:\\s*\\[`))
  const begin = at < 0 ? -1 : head.indexOf("[", at)
  return begin < 0 ? [] : objects(head, begin + 1).flatMap((text) => Option.toArray(decode(text)))
}

/** The texts of the objects that follow each other from here on, to the end of their array. */
const objects = (text: string, from: number) => {
  const found: Array<string> = []
  let depth = 0
  let begin = from
  for (let at = from; at < text.length; at++) {
    const character = text[at]
    if (character === '"') {
      at = endOfString(text, at)
    } else if (character === "{" || character === "[") {
      if (depth++ === 0) begin = at
    } else if (character === "}" || character === "]") {
      if (depth === 0) break
      if (--depth === 0) found.push(text.slice(begin, at + 1))
    }
  }
  return found
}

const endOfString = (text: string, begin: number) => {
  for (let at = begin + 1; at < text.length; at++) {
    if (text[at] === "\\") at++
    else if (text[at] === '"') return at
  }
  return text.length
}

/** Characters of a line that a pattern is tried on. */
const maxLine = 4096

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
