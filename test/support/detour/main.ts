/**
 * A node whose ways to and from the others lead through proxies of the test: those that it dials, by DETOURS, a JSON
 * object of ports, and the port that it listens on, which it leaves to a proxy for the one that DETOUR_PORT names.
 */
import type * as Net from "node:net"
import { createRequire, syncBuiltinESMExports } from "node:module"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { serve } from "../../../src/node/Node.ts"

const { DETOUR_PORT = "", DETOURS = "{}", RUNNER_PORT = "" } = process.env
const detours = JSON.parse(DETOURS) as Readonly<Record<string, number>>

const net = createRequire(import.meta.url)("node:net") as {
  connect: (options: Net.TcpNetConnectOpts) => Net.Socket
  readonly Server: typeof Net.Server
}
const { connect } = net
net.connect = (options) => connect({ ...options, port: detours[options.port] ?? options.port })
syncBuiltinESMExports()

const { listen } = net.Server.prototype
net.Server.prototype.listen = function (this: Net.Server, options: Net.ListenOptions, ...rest: Array<never>) {
  const port = String(options.port) === RUNNER_PORT ? Number(DETOUR_PORT) : options.port
  return listen.call(this, port === undefined ? options : { ...options, port }, ...rest)
} as never

NodeRuntime.runMain(serve)
