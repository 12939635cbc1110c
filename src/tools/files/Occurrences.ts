/**
 * Where bytes stand in others, in time that grows with the sum of both lengths, whatever they are. `indexOf` takes
 * minutes where half a megabyte of one letter around another is looked for in a file of that letter: measured.
 * (Knuth, Morris, Pratt: Fast Pattern Matching in Strings, 1977.)
 */

/** The offsets of up to `most` occurrences, in their order: of those that do not overlap, unless `overlapping`. */
export const occurrences = (
  text: Uint8Array,
  pattern: Uint8Array,
  most: number,
  overlapping = false,
): ReadonlyArray<number> => {
  const found: Array<number> = []
  const borders = bordersOf(pattern)
  let matched = 0
  for (let at = 0; at < text.length && found.length < most; at++) {
    const byte = text[at]
    while (matched > 0 && pattern[matched] !== byte) matched = borders[matched - 1]!
    if (pattern[matched] === byte) matched++
    if (matched === pattern.length) {
      found.push(at + 1 - matched)
      matched = overlapping ? borders[matched - 1]! : 0
    }
  }
  return found
}

/** Of each beginning of the pattern: the length of the longest shorter one that it also ends with. */
const bordersOf = (pattern: Uint8Array) => {
  const borders = new Int32Array(pattern.length)
  for (let at = 1, length = 0; at < pattern.length; at++) {
    while (length > 0 && pattern[at] !== pattern[length]) length = borders[length - 1]!
    if (pattern[at] === pattern[length]) length++
    borders[at] = length
  }
  return borders
}
