/** What was expected and what came, where a text says it by one of the customs that there are. */

/** Looks at the beginning of the text only. */
export const sidesIn = (text: string): { readonly expected?: string; readonly got?: string } => {
  const said = text.slice(0, maxText)
  for (const [pattern, expected, got] of customs) {
    const found = pattern.exec(said)
    if (found !== null) return { expected: found[expected] ?? "", got: found[got] ?? "" }
  }
  return {}
}

/** Each with the groups of what was expected, and of what came. */
const customs: ReadonlyArray<readonly [RegExp, number, number]> = [
  // testify
  [/^\s{0,40}expected\s{0,3}: (.{0,150})\n\s{0,40}actual\s{0,5}: (.{0,150})$/m, 1, 2],
  // JUnit of Java
  [/expected: ?<(.{0,150}?)> but was: ?<(.{0,150}?)>/, 1, 2],
  // Go's own tests
  [/(?:\bgot:? |= )(.{1,150}?)[,;]? (?:but )?want(?:ed)?:? (.{1,150})$/m, 2, 1],
  // pytest: assert got == expected
  [/^(?:AssertionError: )?assert (.{1,150}?) == (.{1,150})$/m, 2, 1],
  // unittest
  [/^AssertionError: (.{1,150}?) != (.{1,150}?)(?: : .{0,150})?$/m, 2, 1],
]

const maxText = 2000
