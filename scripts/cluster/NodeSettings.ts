/** The settings of local nodes: as this script's environment gives them, and as it makes them up. */
import type { ConfigError } from "effect"
import { createHash } from "node:crypto"
import { settings } from "../../src/Settings.ts"
import { StartError } from "../process/StartError.ts"

/** Those of the environment, less those that each node gets of its own; a node that joins later gets the same. */
export const shared = (): Record<string, string> =>
  Object.fromEntries(
    Object.values(settings)
      .map(({ name }) => [name, process.env[name]] as const)
      .flatMap(([name, value]) => (value === undefined || own.has(name) ? [] : [[name, value]])),
  )

/** The image that sandboxes start from: the one that the environment names, or the one that was built. */
export const sandboxImage = (built: string) => process.env[settings.sandboxImage.name] ?? built

/** Has nodes ask for a bearer token. */
export const guardedBy = (token: string): Record<string, string> => ({
  API_TOKENS: `owner:${createHash("sha256").update(token).digest("hex")}`,
})

/** What to say of a setting that cannot be read. */
export const wrong = (cause: ConfigError.ConfigError) =>
  new StartError({
    problem: `A setting in the environment is wrong: ${String(cause).replace(/^\(|\)$/g, "")}.`,
    remedy: "Correct it, or unset it.",
    cause,
  })

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
