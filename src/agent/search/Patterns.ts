/**
 * Patterns for the names of files, as git and shells know them, matched in time that grows with the lengths of the
 * pattern and the name alone. (Libraries that make regular expressions of them take for ever on `*a*a*a*a*a*b`:
 * measured with picomatch. What a sandbox puts into a `.gitignore` must not stop its agent.)
 */
import { Refusal } from "../files/Refusal.ts"

/** Says whether a path matches, given as its parts. */
export type PathPattern = (parts: ReadonlyArray<string>) => boolean

/** What `{a,b}` may stand for, in all. */
const maxAlternatives = 200

/** A pattern for paths; one without a slash is for names at any depth. Refuses one with too many alternatives. */
export const glob = (pattern: string): PathPattern => {
  const patterns = alternatives(pattern.replace(/^(\.?\/)+/, "")).map((one) =>
    path(one.includes("/") ? one : `**/${one}`),
  )
  return (parts) => patterns.some((matches) => matches(parts))
}

/** A pattern for whole paths, with `**` for any number of folders. At its end that is for what is in the folder. */
export const path = (pattern: string): PathPattern => {
  const parts: Array<((name: string) => boolean) | undefined> = pattern
    .split("/")
    .filter((part) => part !== "")
    .map((part) => (part === "**" ? undefined : name(part)))
  if (parts.at(-1) === undefined) parts.push(name("*"))
  return (names) => {
    let part = 0
    let back = -1
    let from = 0
    for (let at = 0; at < names.length;) {
      if (part < parts.length && parts[part] === undefined) {
        back = part++
        from = at
      } else if (parts[part]?.(names[at]!) === true) {
        part++
        at++
      } else if (back < 0) return false
      else {
        part = back + 1
        at = ++from
      }
    }
    return part === parts.length
  }
}

/** A pattern for one name: `*`, `?`, `[a-z]`, `[!a]`, and `\` before what is meant as it is. */
export const name = (pattern: string): ((name: string) => boolean) => {
  if (!/[*?[\\]/.test(pattern)) return (name) => name === pattern
  const tokens = tokensOf(pattern)
  return (name) => {
    let token = 0
    let back = -1
    let from = 0
    for (let at = 0; at < name.length;) {
      const next = tokens[token]
      const width = typeof next === "function" ? next(name.codePointAt(at)!) : 0
      if (next === star) {
        back = token++
        from = at
      } else if (width > 0) {
        token++
        at += width
      } else if (back < 0) return false
      else {
        token = back + 1
        at = ++from
      }
    }
    while (tokens[token] === star) token++
    return token === tokens.length
  }
}

const star = "*"

/** Says how many code units of a name it takes; 0 where the character is another. */
type Token = typeof star | ((character: number) => number)

const widthOf = (character: number) => (character > 0xffff ? 2 : 1)

const tokensOf = (pattern: string) => {
  const tokens: Array<Token> = []
  const characters = Array.from(pattern)
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at]!
    if (character === "*") {
      if (tokens.at(-1) !== star) tokens.push(star)
    } else if (character === "?") tokens.push(widthOf)
    else {
      const set = character === "[" ? setOf(characters, at) : undefined
      if (set !== undefined) {
        tokens.push(set.token)
        at = set.end
      } else {
        if (character === "\\" && at + 1 < characters.length) at++
        const meant = characters[at]!.codePointAt(0)!
        tokens.push((character) => (character === meant ? widthOf(meant) : 0))
      }
    }
  }
  return tokens
}

/** The set that begins at a bracket; none where it does not end. */
const setOf = (characters: ReadonlyArray<string>, begin: number) => {
  const negated = characters[begin + 1] === "!" || characters[begin + 1] === "^"
  const first = begin + (negated ? 2 : 1)
  const ranges: Array<readonly [number, number]> = []
  let at = first
  const take = () => {
    if (characters[at] === "\\") at++
    return characters[at++]?.codePointAt(0)
  }
  while (at === first || characters[at] !== "]") {
    const low = take()
    if (low === undefined) return undefined
    let high: number | undefined = low
    if (characters[at] === "-" && characters[at + 1] !== "]") {
      at++
      high = take()
      if (high === undefined) return undefined
    }
    ranges.push([low, high])
  }
  const token = (character: number) =>
    ranges.some(([low, high]) => low <= character && character <= high) === negated ? 0 : widthOf(character)
  return { token, end: at }
}

/** The patterns that one with `{a,b}` stands for. */
const alternatives = (pattern: string): ReadonlyArray<string> => {
  const done: Array<string> = []
  const waiting = [pattern]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (done.length + waiting.length > maxAlternatives) throw new Refusal("bad_pattern")
    const braces = bracesOf(next)
    if (braces === undefined) done.push(next)
    else {
      const { before, choices, after } = braces
      waiting.push(...choices.map((choice) => before + choice + after))
    }
  }
  return done
}

/** The first pair of braces with all that is between. */
const bracesOf = (pattern: string) => {
  let depth = 0
  let begin = 0
  let choices: Array<string> = []
  let choice = 0
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at]
    if (character === "\\") at++
    else if (character === "{") {
      if (depth++ === 0) {
        begin = at
        choice = at + 1
        choices = []
      }
    } else if (depth === 1 && (character === "," || character === "}")) {
      choices.push(pattern.slice(choice, at))
      choice = at + 1
    }
    if (character === "}" && depth > 0 && --depth === 0) {
      return { before: pattern.slice(0, begin), choices, after: pattern.slice(at + 1) }
    }
  }
  return undefined
}
