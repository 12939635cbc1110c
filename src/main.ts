#!/usr/bin/env node
/** The command line. What a command needs is loaded for it alone; `node/Node.ts` is the architecture of a node. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect } from "effect"
import { parseArgs } from "node:util"
import { serverInfo } from "./mcp/ServerInfo.ts"
import { explain, UsageError } from "./node/StartFailure.ts"
import { describeSettings } from "./Settings.ts"

const serve = Effect.flatMap(
  Effect.promise(() => import("./node/Node.ts")),
  ({ serve }) => serve,
)

const help = `codegen-mcp serves sandboxes over the Model Context Protocol, as one node of a cluster.

Usage: codegen-mcp [serve] [--help] [--version]

Settings, by environment variable [default]:
${describeSettings()}

Sizes are in bytes; times are written as \`10 seconds\`.`

const commandLine = Effect.suspend((): Effect.Effect<void, unknown> => {
  const { values, positionals } = parseArgs({
    options: { help: { type: "boolean", short: "h" }, version: { type: "boolean", short: "v" } },
    allowPositionals: true,
    strict: false,
  })
  const unknown = [
    ...positionals.filter((word, index) => index > 0 || word !== "serve"),
    ...Object.keys(values).filter((name) => !["help", "h", "version", "v"].includes(name)),
  ]
  if (values["help"] === true) return Console.log(help)
  if (values["version"] === true) return Console.log(serverInfo.version)
  if (unknown.length > 0) {
    return Effect.fail(new UsageError({ problem: `Unknown: ${unknown.join(" ")}.` }))
  }
  return serve
})

commandLine.pipe(
  Effect.tapErrorCause((cause) => Effect.sync(() => console.error(`codegen-mcp: ${explain(cause)}`))),
  NodeRuntime.runMain({ disableErrorReporting: true, disablePrettyLogger: true }),
)
