/**
 * Which browsers and names may reach the server. A page of another origin must not drive it, nor one that
 * rebound its own name to this address (MCP, "Transports", security warning).
 */
import { Context, Effect, Layer } from "effect"
import { hostOf, isLoopback } from "../domain/Loopback.ts"
import { settings } from "../Settings.ts"
import { Principals } from "./Principals.ts"

export class Guard extends Context.Tag("codegen-mcp/mcp/Guard")<
  Guard,
  {
    /** Why the request is refused, or undefined. Headers as they came. */
    readonly objection: (host: string | undefined, origin: string | undefined) => string | undefined
  }
>() {
  static readonly layer = Layer.effect(
    Guard,
    Effect.gen(function* () {
      const { guarded } = yield* Principals
      const hosts = new Set(yield* settings.allowedHosts.config)
      const origins = new Set(yield* settings.allowedOrigins.config)
      const hostChecked = !guarded || hosts.size > 0

      return {
        objection: (host, origin) => {
          const name = hostOf(`http://${host ?? ""}`)
          if (
            hostChecked &&
            !hosts.has(host ?? "") &&
            !hosts.has(name ?? "") &&
            !(!guarded && isLoopback(name))
          ) {
            return "The Host header is not one of this server's (ALLOWED_HOSTS)."
          }
          if (origin !== undefined && !origins.has(origin) && !(!guarded && isLoopback(hostOf(origin)))) {
            return "The Origin is not allowed (ALLOWED_ORIGINS)."
          }
          return undefined
        },
      }
    }),
  )
}
