/**
 * What a call over MCP takes that comes in at a node which does not own its session, beside the engine's own exec;
 * where its time goes; and what sessions and streams cost that do nothing. `mcp/` has the measurements.
 */
import { Effect } from "effect"
import { step } from "../process/Progress.ts"
import type { Bench } from "./Bench.ts"
import { calls } from "./mcp/Calls.ts"
import { idleSessions, idleStreams } from "./mcp/Idle.ts"
import * as Site from "./mcp/Site.ts"

export const mcp: Bench = {
  name: "mcp",
  summary: "calls over MCP at a node that does not own the session, where their time goes, and memory",
  measure: (options) =>
    Effect.gen(function* () {
      const site = yield* Site.start(options)
      yield* step("Measuring calls …")
      const ofCalls = yield* calls(site)
      yield* step("Measuring memory …")
      // Last: what is compiled for the first calls is not what a session costs.
      const ofSessions = yield* idleSessions(site)
      const ofStreams = yield* idleStreams(site)
      return [...ofCalls, ...ofSessions, ...ofStreams]
    }),
}
