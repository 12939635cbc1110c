/** The settings of a node as this script's environment gives them, less those that each local node gets of its own. */
import { settings } from "../../src/Settings.ts"

/** As environment variables, so that a node that joins later gets the same. */
export const shared = (): Record<string, string> =>
  Object.fromEntries(
    Object.values(settings)
      .map(({ name }) => [name, process.env[name]] as const)
      .flatMap(([name, value]) => (value === undefined || own.has(name) ? [] : [[name, value]])),
  )

const own = new Set([
  "DATABASE_URL",
  "HTTP_HOST",
  "HTTP_PORT",
  "RUNNER_HOST",
  "RUNNER_PORT",
  "DATA_DIR",
  "NODE_ID",
  "DOCKER_HOST",
  "SANDBOX_IMAGE",
  "AGENT_IMAGE",
])
