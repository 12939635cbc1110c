/** Who is calling: the owner of a bearer token, or `local` where no token is set. */
import { Config, ConfigError, Context, Effect, Either, Layer } from "effect"
import { createHash, timingSafeEqual } from "node:crypto"
import { Principal } from "../domain/Identity.ts"
import { settings } from "../Settings.ts"

export class Principals extends Context.Tag("codegen-mcp/mcp/Principals")<
  Principals,
  {
    /** Whether callers must show a token. */
    readonly guarded: boolean
    /** The principal of an `Authorization` header; undefined where it is missing or wrong. */
    readonly of: (authorization: string | undefined) => Principal | undefined
  }
>() {
  static readonly layer = Layer.effect(
    Principals,
    Effect.map(
      Config.mapOrFail(settings.apiTokens.config, (tokens) => Either.all(tokens.map(parse))),
      (tokens) => ({
        guarded: tokens.length > 0,
        of: (authorization) => (tokens.length === 0 ? local : find(tokens, authorization)),
      }),
    ),
  )
}

interface Token {
  readonly principal: Principal
  readonly hash: Buffer
}

const local = Principal.make("local")

const parse = (token: string): Either.Either<Token, ConfigError.ConfigError> => {
  const [, id, hash] = /^([A-Za-z0-9._-]{1,64}):([0-9a-fA-F]{64})$/.exec(token) ?? []
  return id === undefined || hash === undefined
    ? Either.left(
        ConfigError.InvalidData(
          ["API_TOKENS"],
          "each token is `id:sha256`, the hash in 64 hexadecimal digits",
        ),
      )
    : Either.right({ principal: Principal.make(`token:${id}`), hash: Buffer.from(hash, "hex") })
}

/** Compares with every token, so that the time tells nothing of which one, or how much of it, fits. */
const find = (tokens: ReadonlyArray<Token>, authorization: string | undefined) => {
  const [, secret] = /^Bearer +([^ ]+) *$/i.exec(authorization ?? "") ?? []
  if (secret === undefined) return undefined
  const hash = createHash("sha256").update(secret).digest()
  return tokens.filter((token) => timingSafeEqual(token.hash, hash))[0]?.principal
}
