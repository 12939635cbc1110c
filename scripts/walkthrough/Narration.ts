/** What the demo tells a person, on stdout: each step, each request with the node that answered it, outputs. */
import { Effect } from "effect"
import type { Answered } from "./McpClient.ts"

export interface Narration {
  readonly title: (text: string) => Effect.Effect<void>
  readonly remark: (text: string) => Effect.Effect<void>
  /** The end of what a command wrote. */
  readonly output: (text: string) => Effect.Effect<void>
  /** One request. */
  readonly answered: (answered: Answered) => void
  /** How many requests each node has answered. */
  readonly counts: () => ReadonlyMap<string, number>
}

export const make = (): Narration => {
  const counts = new Map<string, number>()
  const say = (text: string) => Effect.sync(() => write(text))
  return {
    title: (text) => say(`\n${text}`),
    remark: (text) => say(`  ${text}`),
    output: (text) => say(lastLines(text)),
    answered: (answered) => {
      const node = answered.node ?? "no node"
      counts.set(node, (counts.get(node) ?? 0) + 1)
      write(`  ${node}  ${describe(answered)}${answered.status < 300 ? "" : ` (HTTP ${answered.status})`}`)
    },
    counts: () => counts,
  }
}

const write = (text: string): void => void process.stdout.write(`${text}\n`)

const lines = 14

const lastLines = (text: string) => {
  const all = text.trimEnd().split("\n")
  const left = all.length > lines ? [`[${all.length - lines} lines before]`] : []
  return [...left, ...all.slice(-lines)].map((line) => `        | ${line}`.trimEnd()).join("\n")
}

const describe = ({ method, message }: Answered) => {
  if (message === undefined) return `HTTP ${method}`
  const { name, arguments: input } = (message.params ?? {}) as {
    readonly name?: string
    readonly arguments?: { readonly path?: string; readonly command?: string }
  }
  return message.method === "tools/call"
    ? `${name} ${input?.path ?? input?.command ?? ""}`.trimEnd()
    : message.method
}
