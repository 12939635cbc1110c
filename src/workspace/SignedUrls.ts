/** Makes and reads signed URLs, by keys that all nodes of a cluster have. */
import { SqlClient } from "@effect/sql"
import { Clock, Context, Duration, Effect, Layer, Redacted } from "effect"
import { hkdfSync } from "node:crypto"
import { UrlRefused } from "../domain/ObjectError.ts"
import { type Claims, sign, verify } from "../domain/SignedUrl.ts"
import { settings } from "../Settings.ts"

/** Where they are served. */
export const filesPath = "/files/"

export class SignedUrls extends Context.Tag("codegen-mcp/workspace/SignedUrls")<
  SignedUrls,
  {
    /**
     * A URL that begins with `base`, for URL_LIFETIME, or until `before` (milliseconds since 1970) where that is sooner.
     * `name` stands at its end, for people alone.
     */
    readonly make: (
      base: string,
      claims: Omit<Claims, "expires">,
      name: string,
      before?: number,
    ) => Effect.Effect<{ readonly url: string; readonly expires: number }>
    /** What the last but one part of a URL's path allows. */
    readonly read: (signed: string, method: string) => Effect.Effect<Claims, UrlRefused>
  }
>() {
  static readonly layer = Layer.effect(
    SignedUrls,
    Effect.gen(function* () {
      const keys = (yield* secrets).map(keyOf)
      const [key] = keys
      const lifetime = Duration.toMillis(yield* settings.urlLifetime.config)
      if (key === undefined) return yield* Effect.dieMessage("the migrations left no secret for URLs")
      return {
        make: (base, claims, name, before = Infinity) =>
          Effect.map(Clock.currentTimeMillis, (now) => {
            const expires = Math.floor(Math.min(now + lifetime, before))
            const signed = sign(key, { ...claims, expires })
            return { url: `${base}${filesPath}${signed}/${encodeURIComponent(name)}`, expires }
          }),
        read: (signed, method) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) =>
            Effect.mapError(verify(keys, signed, method, now), (why) => new UrlRefused({ why })),
          ),
      }
    }),
  )
}

/** Those of the cluster, the first to sign with; without, the one that its database has. */
const secrets = Effect.gen(function* () {
  const given = Redacted.value(yield* settings.clusterSecret.config)
  if (given.length > 0) return given
  const sql = yield* SqlClient.SqlClient
  const rows = yield* sql<{ secret: string }>`SELECT url_secret AS secret FROM cluster`
  return rows.map(({ secret }) => secret)
})

/** 32 bytes, from which nothing can be told of the other keys of the same secret. */
const keyOf = (secret: string) =>
  new Uint8Array(hkdfSync("sha256", secret, "", "codegen-mcp signed urls", 32))
