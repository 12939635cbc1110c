#!/usr/bin/env node
/** The command line. What a command needs is loaded for it alone; `node/Node.ts` is the architecture of a node. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Runtime from "@effect/platform/Runtime"
import { Cause, Console, Effect, Exit, Option, Predicate } from "effect"
import { fileURLToPath } from "node:url"
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
       codegen-mcp stdio [--url URL]    serve one client on a pipe; see codegen-mcp stdio --help

Settings, by environment variable [default]:
${describeSettings()}

Sizes are in bytes; times are written as \`10 seconds\`.`

const stdio = (args: ReadonlyArray<string>) =>
  Effect.flatMap(
    Effect.promise(() => import("./mcp/stdio/Stdio.ts")),
    ({ help, run }) =>
      args.some((arg) => arg === "--help" || arg === "-h") ? Console.log(help) : run(args, launcher),
  )

const launcher = fileURLToPath(new URL("scripts/single.js", import.meta.url))

const commandLine = Effect.suspend((): Effect.Effect<void, unknown> => {
  const [command, ...args] = process.argv.slice(2)
  if (command === "stdio") return stdio(args)
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

/** An error that names no exit code ends with 1. */
const codeOf = (exit: Exit.Exit<unknown, unknown>) => {
  const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
  return Predicate.hasProperty(error, "exitCode") && typeof error.exitCode === "number" ? error.exitCode : 1
}

commandLine.pipe(
  Effect.tapErrorCause((cause) => Effect.sync(() => console.error(`codegen-mcp: ${explain(cause)}`))),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    disablePrettyLogger: true,
    teardown: (exit, onExit) =>
      Runtime.defaultTeardown(exit, (code) => onExit(code === 1 ? codeOf(exit) : code)),
  }),
)
