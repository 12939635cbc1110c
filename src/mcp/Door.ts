/** Who may come in: the Host and Origin are this server's, the bearer token is known. */
import type { HttpServerRequest } from "@effect/platform"
import { Effect } from "effect"
import { Guard } from "./Guard.ts"
import { Principals } from "./Principals.ts"
import { refuse } from "./Refusal.ts"

/** Gives the function that says who is calling. */
export const make = Effect.gen(function* () {
  const guard = yield* Guard
  const principals = yield* Principals
  return ({ headers }: HttpServerRequest.HttpServerRequest) =>
    Effect.suspend(() => {
      const objection = guard.objection(headers["host"], headers["origin"])
      if (objection !== undefined) return refuse(403, -32000, objection)
      const principal = principals.of(headers["authorization"])
      return principal === undefined
        ? refuse(401, -32000, "A valid bearer token is needed.", { "www-authenticate": "Bearer" })
        : Effect.succeed(principal)
    })
})
