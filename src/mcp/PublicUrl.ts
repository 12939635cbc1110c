/** What URLs begin with that a client can use: PUBLIC_URL, or how it reached this server. */
import { HttpServerRequest } from "@effect/platform"
import { Effect, Option } from "effect"
import { settings } from "../Settings.ts"

/**
 * Gives what finds it for the request that a fiber works on. Its Host was accepted, or is of a client that has shown its
 * token: one that names another host gets URLs there, and nobody else does. So it is with X-Forwarded-Proto.
 */
export const make = Effect.gen(function* () {
  const given = yield* settings.publicUrl.config
  const own = `${yield* settings.httpHost.config}:${yield* settings.httpPort.config}`
  return Effect.map(Effect.serviceOption(HttpServerRequest.HttpServerRequest), (request) => {
    if (Option.isSome(given)) return given.value
    const headers: Readonly<Record<string, string>> = Option.isSome(request) ? request.value.headers : {}
    const host = headers["host"] ?? ""
    const scheme = headers["x-forwarded-proto"] === "https" ? "https" : "http"
    return `${scheme}://${isHost.test(host) ? host : own}`
  })
})

const isHost = /^(?:[A-Za-z0-9._-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(?::\d{1,5})?$/
