/** The command line of `scripts/start`. */
import { Effect } from "effect"
import { resolve } from "node:path"
import { parseArgs } from "node:util"
import { misuse, StartError } from "../process/StartError.ts"

export const usage = `Usage: scripts/start [options]             start a cluster on this machine
       scripts/start --join FILE [options] add a node to one that runs

  --nodes N      node processes, 1 to 32 (default 1)
  --port PORT    port of the MCP endpoint (default 8080, or HTTP_PORT)
  --state FILE   write what runs to FILE, as JSON, once all is ready
  --join FILE    add one node to the cluster of that state file; it ends with this script
  --node-id ID   with --join: the new node's id, or the id of a dead node that it replaces
  --no-install   install no system package
  --verbose      show the log of the nodes
  --help         show this

DATABASE_URL names a Postgres; without it an embedded one is started. All settings of a node may be
given in the environment: \`node .codegen/build/main.js --help\` lists them.
`

export type StartOptions =
  | { readonly _tag: "Help" }
  | {
      readonly _tag: "Start"
      readonly nodes: number
      readonly port: number | undefined
      readonly stateFile: string | undefined
      readonly install: boolean
      readonly verbose: boolean
    }
  | {
      readonly _tag: "Join"
      readonly stateFile: string
      readonly nodeId: string | undefined
      readonly install: boolean
      readonly verbose: boolean
    }

/** Reads the command line; fails with what is wrong with it. */
export const parse = (args: ReadonlyArray<string>): Effect.Effect<StartOptions, StartError> =>
  Effect.gen(function* () {
    const values = yield* Effect.try({
      try: () => parseArgs({ args: [...args], options: known, strict: true }).values,
      catch: (cause) => wrong(misuse(cause)),
    })
    if (values.help === true) return { _tag: "Help" } as const
    const common = { install: values["no-install"] !== true, verbose: values.verbose === true }
    if (values.join !== undefined) {
      const clash = (["nodes", "port", "state"] as const).find((name) => values[name] !== undefined)
      if (clash !== undefined) return yield* wrong(`--${clash} does not go with --join`)
      const nodeId = values["node-id"]
      if (nodeId !== undefined && !/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/.test(nodeId)) {
        return yield* wrong(`--node-id ${nodeId} is not a name of letters, digits, "_", "." and "-"`)
      }
      return { _tag: "Join", stateFile: resolve(values.join), nodeId, ...common } as const
    }
    if (values["node-id"] !== undefined) return yield* wrong("--node-id goes with --join only")
    return {
      _tag: "Start",
      nodes: (yield* integer("nodes", values.nodes, 1, 32)) ?? 1,
      port: yield* integer("port", values.port, 1, 65_535),
      stateFile: values.state === undefined ? undefined : resolve(values.state),
      ...common,
    } as const
  })

const known = {
  nodes: { type: "string" },
  port: { type: "string" },
  state: { type: "string" },
  join: { type: "string" },
  "node-id": { type: "string" },
  "no-install": { type: "boolean" },
  verbose: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const

const integer = (name: string, text: string | undefined, least: number, most: number) => {
  if (text === undefined) return Effect.succeed(text)
  const value = Number(text)
  return /^\d+$/.test(text) && value >= least && value <= most
    ? Effect.succeed(value)
    : wrong(`--${name} must be a whole number from ${least} to ${most}, and is "${text}"`)
}

const wrong = (problem: string) =>
  new StartError({ problem: `${problem}.`, remedy: "`scripts/start --help` lists the options." })
