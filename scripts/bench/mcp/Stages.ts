/**
 * Where a node's processor time goes, by stage: samples of its stack, each put down to the innermost frame whose source
 * tells. What stands under none of them is the Effect runtime's, which runs all the stages' steps, or Node's own.
 */
import { readFileSync } from "node:fs"
import type { Profiler } from "node:inspector"
import { fileURLToPath } from "node:url"

/** A profile as shares of the processor time of one call. */
export const rows = (node: string, profile: Profiler.Profile, time: number) => {
  const stages = [...byStage(profile)]
  const all = stages.reduce((sum, [, share]) => sum + share, 0)
  return stages.map(([stage, share]) => ({ name: `${node}: ${stage}`, ours: (share / all) * time }))
}

/** The first that fits a frame's source. */
const stages: ReadonlyArray<readonly [stage: string, source: RegExp]> = [
  [
    "Postgres",
    /node_modules\/(pg|pg-[^/]+|@effect\/sql[^/]*|postgres-[^/]+)\/|src\/database\/|SessionRows|Connections\.ts|Directory\.ts/,
  ],
  [
    "hop",
    /node_modules\/(@effect\/(cluster|rpc)|msgpackr[^/]*)\/|src\/cluster\/|NodeSocket|Socket\.js|src\/session\/(Sessions|SessionEntity)\.ts/,
  ],
  ["agent", /src\/(sandbox|agent|domain\/SandboxError)|node_modules\/(dockerode|docker-modem)\//],
  [
    "MCP",
    /node_modules\/(@modelcontextprotocol|zod|ajv[^/]*)\/|src\/mcp\/(McpServer|ToolCalls|Presentation|Resources|Prompts)/,
  ],
  ["operation", /src\/(session|tools)\//],
  [
    "HTTP",
    /node:(internal\/|_)?http|_http_|src\/(mcp|node)\/|node_modules\/@effect\/platform(-node)?\/|internal\/http/,
  ],
]

/** By time, without that in which there was nothing to do. */
const byStage = ({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): ReadonlyMap<string, number> => {
  const sources = new Sources()
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const stageOf = new Map<number, string>()
  const visit = (node: Profiler.ProfileNode, caller: string | undefined) => {
    const { functionName, url, lineNumber } = node.callFrame
    const source = sources.at(url, lineNumber)
    const stage = stages.find(([, pattern]) => pattern.test(source))?.[0] ?? caller
    const rest = source.includes("node_modules/effect/") ? "Effect runtime" : "Node and the rest"
    stageOf.set(node.id, native.get(functionName) ?? stage ?? rest)
    for (const id of node.children ?? []) {
      const child = byId.get(id)
      if (child !== undefined) visit(child, stage)
    }
  }
  const [root] = nodes
  if (root !== undefined) visit(root, undefined)
  const sums = new Map<string, number>()
  samples.forEach((id, index) => {
    const stage = stageOf.get(id) ?? ""
    sums.set(stage, (sums.get(stage) ?? 0) + (timeDeltas[index] ?? 0))
  })
  sums.delete(idle)
  return new Map([...sums].sort(([, one], [, other]) => other - one))
}

const idle = "idle"

const native = new Map([
  ["(garbage collector)", "garbage collection"],
  ["(idle)", idle],
])

/** Which file a line of a bundle comes from, by the comments that the bundler leaves. */
class Sources {
  private readonly bundles = new Map<string, ReadonlyArray<string>>()

  at(url: string, line: number): string {
    if (!url.startsWith("file:")) return url
    let lines = this.bundles.get(url)
    if (lines === undefined) {
      let source = url
      lines = readFileSync(fileURLToPath(url), "utf8")
        .split("\n")
        .map((text) => (source = /^\/\/ ((?:src|node_modules|\.\.)\/\S+)$/.exec(text)?.[1] ?? source))
      this.bundles.set(url, lines)
    }
    return lines[line] ?? url
  }
}
