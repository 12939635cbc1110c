/**
 * The names of tools as clients see them: their own, after the operator's prefix. Rows, calls between nodes and the
 * registry know a tool by its own name alone.
 */
export interface ToolNames {
  readonly shown: (own: string) => string
  /** The tool's own name; undefined for one that cannot be any tool's. */
  readonly own: (shown: string) => string | undefined
  /** A text of ours that names tools, with the names that clients see. */
  readonly inText: (text: string) => string
}

const same = (text: string) => text

export const plainNames: ToolNames = { shown: same, own: same, inText: same }

/**
 * In texts the names count that are no words: with an underscore, and `exec`. Others do where they stand as code, in
 * backticks.
 */
export const prefixed = (prefix: string, tools: ReadonlyArray<string>): ToolNames => {
  if (prefix === "") return plainNames
  const anywhere = tools.filter((name) => name.includes("_") || name === "exec")
  const places = new RegExp(`\\b(?:${anywhere.join("|")})\\b|(?<=\`)(?:${tools.join("|")})(?=\`)`, "g")
  return {
    shown: (own) => prefix + own,
    own: (shown) => (shown.startsWith(prefix) ? shown.slice(prefix.length) : undefined),
    inText: (text) => text.replace(places, (name) => prefix + name),
  }
}
