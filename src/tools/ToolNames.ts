import { explained, type Explained, failureOf } from "../domain/Failure.ts"

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
  /** An error with such words. */
  readonly inError: (error: Explained) => Explained
  /**
   * A failure, or an answer with the failures in it: what they say, and the notes of the answer. What came out of a
   * sandbox stays as it is.
   */
  readonly inAnswer: <A>(answer: A) => A
}

const same = <A>(value: A) => value

export const plainNames: ToolNames = { shown: same, own: same, inText: same, inError: same, inAnswer: same }

/**
 * In texts the names count that are no words: with an underscore, and `exec`. Others do where they stand as code, in
 * backticks.
 */
export const prefixed = (prefix: string, tools: ReadonlyArray<string>): ToolNames => {
  if (prefix === "") return plainNames
  const anywhere = tools.filter((name) => name.includes("_") || name === "exec")
  const places = new RegExp(`\\b(?:${anywhere.join("|")})\\b|(?<=\`)(?:${tools.join("|")})(?=\`)`, "g")
  const inText = (text: string) => text.replace(places, (name) => prefix + name)
  return {
    shown: (own) => prefix + own,
    own: (shown) => (shown.startsWith(prefix) ? shown.slice(prefix.length) : undefined),
    inText,
    inError: (error) => {
      const { message, next, ...failure } = failureOf(error)
      return explained({ ...failure, message: inText(message), next: inText(next) })
    },
    inAnswer: (answer) =>
      JSON.parse(JSON.stringify(answer), function (this: object, key, value: unknown) {
        const isOurs = answerWords.has(key) || (key === "message" && isFailure(this))
        return isOurs && typeof value === "string" ? inText(value) : value
      }),
  }
}

const answerWords = new Set(["note", "verdict", "next"])

/** It has what a failure has, and nothing else. */
const isFailure = (node: object) => Object.keys(node).toSorted().join() === "code,message,next"
