/**
 * What a node's sandboxes take, at the `Sandbox` interface and in this process, beside the engine's own API on
 * containers like them. `sandbox/` has the measurements.
 */
import { Effect } from "effect"
import { step } from "../process/Progress.ts"
import type { Bench } from "./Bench.ts"
import { commands } from "./sandbox/Commands.ts"
import * as Idle from "./sandbox/Idle.ts"
import * as Node from "./sandbox/Node.ts"
import * as Opening from "./sandbox/Opening.ts"
import { transfers } from "./sandbox/Transfers.ts"

export const sandbox: Bench = {
  name: "sandbox",
  summary: "a node's sandboxes beside the engine's own API: commands, opening, bytes, memory",
  measure: (options) =>
    Effect.gen(function* () {
      const { engine, on } = yield* Node.prepare(options)
      const { docker } = engine

      yield* step("Measuring memory …")
      // First: later this process holds what measuring left behind.
      const ofIdle = yield* on(Idle.settings)(Idle.idle(docker))
      yield* step("Measuring commands …")
      const ofCommands = yield* on()(commands(docker))
      yield* step("Measuring bytes …")
      const ofTransfers = yield* on()(transfers(docker))
      // Last: the engine still has work with what this leaves.
      yield* step("Measuring how long opening takes …")
      const ofOpening = yield* on(Opening.settings)(Opening.opening(docker))
      const ofReady = yield* Idle.ready((answered) => on({}, answered))
      return [...ofCommands, ...ofOpening, ...ofReady, ...ofTransfers, ...ofIdle]
    }),
}
