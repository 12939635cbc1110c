/** The place in a file that is most like a text that is not in it, in words for whoever wanted to replace it. */
import { linesOf } from "./Lines.ts"

/** What is looked at of a file and of a text, in lines, and of one line, in characters. */
const maxFileLines = 20_000
const maxTextLines = 200
const maxLine = 200

/** What is shown, in characters. */
const maxShown = 1500

/** Lines of the text that stand more often in it say little. */
const maxRepeats = 4

/** How much of a line has to be alike, of 1. */
const leastLikeness = 0.4

/** A sentence with the line and the text there; empty where nothing is like it. */
export const nearest = (file: Buffer, text: string): string => {
  const lines = linesOf(file, maxFileLines).map(textOf)
  const wanted = linesOf(Buffer.from(text), maxTextLines).map(textOf)
  const bare = lines.map(squeezed)
  const bareWanted = wanted.map(squeezed)
  const first = bareWanted.findIndex((line) => line !== "")
  if (first < 0) return ""
  const start = startByLines(bare, bareWanted) ?? startByLikeness(bare, bareWanted)
  if (start === undefined) return ""
  const from = Math.max(0, start)
  const there = lines.slice(from, from + wanted.length)
  const isSame = start >= 0 && bareWanted.every((line, index) => line === bare[start + index] || line === "")
  const shown = there.join("\n")
  const cut = shown.length > maxShown ? `${shown.slice(0, maxShown)} […]` : shown
  return isSame
    ? ` Line ${from + 1} differs from it in white space alone. There stands:\n${cut}`
    : ` The nearest is at line ${from + 1}. There stands:\n${cut}`
}

const textOf = (line: Buffer) => line.toString("utf8", 0, maxLine * 4).replace(/\r?\n$/, "")

const squeezed = (line: string) => line.slice(0, maxLine).replace(/\s+/g, "")

/** The place at which most lines are those of the text; the earliest of several. */
const startByLines = (lines: ReadonlyArray<string>, wanted: ReadonlyArray<string>) => {
  const places = new Map<string, Array<number>>()
  for (const [index, line] of wanted.entries()) {
    if (line !== "") places.set(line, [...(places.get(line) ?? []), index].slice(0, maxRepeats + 1))
  }
  const votes = new Map<number, number>()
  for (const [at, line] of lines.entries()) {
    const known = places.get(line) ?? []
    if (known.length > maxRepeats) continue
    // A brace alone is a line of many places.
    const weight = Math.min(line.length, 20)
    for (const index of known) votes.set(at - index, (votes.get(at - index) ?? 0) + weight)
  }
  let best: { readonly start: number; readonly votes: number } | undefined
  for (const [start, count] of votes) {
    if (count > (best?.votes ?? 4) || (count === best?.votes && start < best.start))
      best = { start, votes: count }
  }
  return best?.start
}

/** The place of the line that is most like the longest one of the text. */
const startByLikeness = (lines: ReadonlyArray<string>, wanted: ReadonlyArray<string>) => {
  const longest = wanted.reduce((best, line, index) => (line.length > wanted[best]!.length ? index : best), 0)
  const pairs = pairsOf(wanted[longest]!)
  let best: number | undefined
  let most = leastLikeness
  for (const [at, line] of lines.entries()) {
    const likeness = likenessOf(pairs, wanted[longest]!.length, line)
    if (likeness > most) {
      most = likeness
      best = at - longest
    }
  }
  return best
}

const pairsOf = (line: string) => {
  const pairs = new Map<string, number>()
  for (let at = 0; at + 1 < line.length; at++) {
    const pair = line.slice(at, at + 2)
    pairs.set(pair, (pairs.get(pair) ?? 0) + 1)
  }
  return pairs
}

/** The share of pairs of characters that two lines have in common. (Dice.) */
const likenessOf = (pairs: ReadonlyMap<string, number>, length: number, line: string) => {
  const total = Math.max(0, length - 1) + Math.max(0, line.length - 1)
  // Lines of very different lengths cannot be alike.
  if (total === 0 || 2 * Math.min(length, line.length) < leastLikeness * (length + line.length)) return 0
  const left = new Map(pairs)
  let common = 0
  for (let at = 0; at + 1 < line.length; at++) {
    const pair = line.slice(at, at + 2)
    const count = left.get(pair) ?? 0
    if (count > 0) {
      left.set(pair, count - 1)
      common++
    }
  }
  return (2 * common) / total
}
