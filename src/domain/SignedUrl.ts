/**
 * URLs that stand for themselves: whoever has one may fetch or send one file, until it expires, without a token. All
 * that it allows is in it, signed by HMAC-SHA256.
 */
import { Either, Option, Schema } from "effect"
import { createHmac, timingSafeEqual } from "node:crypto"
import { ObjectId, SessionId } from "./Identity.ts"

/** What a URL allows. */
export const Claims = Schema.Struct({
  session: SessionId,
  object: ObjectId,
  /** GET allows HEAD too. */
  method: Schema.Literal("GET", "PUT"),
  /** In milliseconds since 1970. */
  expires: Schema.Int,
  /** Of an archive that is sent: the folder that it is unpacked into. */
  folder: Schema.optionalWith(Schema.String, { exact: true }),
  /** It was made after its session had ended, and so does not end with it. */
  outlives: Schema.optionalWith(Schema.Literal(true), { exact: true }),
})
export type Claims = typeof Claims.Type

/** Why a URL allows nothing. */
type Objection = "invalid" | "method" | "expired"

const decode = Schema.decodeUnknownOption(Schema.parseJson(Claims))

const signature = (key: Uint8Array, payload: string) =>
  createHmac("sha256", key).update(`codegen-mcp url 1\n${payload}`).digest()

/** The claims and their signature, as they stand in a URL. */
export const sign = (key: Uint8Array, claims: Claims) => {
  const payload = Buffer.from(JSON.stringify(claims)).toString("base64url")
  return `${payload}.${signature(key, payload).toString("base64url")}`
}

/** What a URL allows that is used by this method at that time. It may be signed by any of the keys. */
export const verify = (
  keys: ReadonlyArray<Uint8Array>,
  signed: string,
  method: string,
  now: number,
): Either.Either<Claims, Objection> => {
  const [payload = "", given = "", ...more] = signed.split(".")
  const bytes = Buffer.from(given, "base64url")
  const isSigned = keys.filter(
    (key) => bytes.length === 32 && timingSafeEqual(signature(key, payload), bytes),
  )
  if (isSigned.length === 0 || more.length > 0) return Either.left("invalid")
  const claims = decode(Buffer.from(payload, "base64url").toString())
  if (Option.isNone(claims)) return Either.left("invalid")
  if (claims.value.method !== (method === "HEAD" ? "GET" : method)) return Either.left("method")
  return claims.value.expires <= now ? Either.left("expired") : Either.right(claims.value)
}
