/** What every script needs of this machine before a node can run: an engine that has the images. */
import { Effect } from "effect"
import type { Scope } from "effect"
import { settings } from "../../src/Settings.ts"
import * as Engine from "./Engine.ts"
import * as Images from "./Images.ts"
import { StartError } from "../process/StartError.ts"

export interface Machine {
  readonly engine: Engine.Engine
  readonly sandboxImage: string
  readonly agentImage: string
  /** What nodes need to find the engine and the agent, as environment variables. */
  readonly environment: Readonly<Record<string, string>>
}

/** Finds or starts an engine, and builds the images where they are missing. */
export const prepare = (options: {
  readonly install: boolean
}): Effect.Effect<Machine, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    const dockerHost = yield* Effect.mapError(
      settings.dockerHost.config,
      (cause) =>
        new StartError({ problem: "DOCKER_HOST is wrong.", remedy: "Set it right, or unset it.", cause }),
    )
    const engine = yield* Engine.acquire({ install: options.install, dockerHost })
    const sandboxImage = yield* Images.sandbox(engine, options)
    const agentImage = yield* Images.agent(engine, sandboxImage)
    return {
      engine,
      sandboxImage,
      agentImage,
      environment: { ...engine.environment, AGENT_IMAGE: agentImage },
    }
  })
