/** Where the cluster of a bridge is, and the token for it, as the command line and the environment say. */
import { Config, Effect, Option, Redacted, Schema } from "effect"
import type { UpstreamOptions } from "./Upstream.ts"

/** What was given cannot be followed; the process ends with code 2. It does not show the token. */
export class BridgeUsage extends Schema.TaggedError<BridgeUsage>()("BridgeUsage", {
  message: Schema.String,
}) {
  readonly exitCode = 2
}

/** What is not given comes from CODEGEN_MCP_URL and CODEGEN_MCP_TOKEN; none where no address is named. */
export const read = (given: {
  readonly url?: string | undefined
  readonly token?: string | undefined
}): Effect.Effect<UpstreamOptions | undefined, BridgeUsage> =>
  Effect.gen(function* () {
    const address = given.url ?? (yield* inherited("CODEGEN_MCP_URL"))
    if (address === undefined) {
      return given.token === undefined
        ? undefined
        : yield* new BridgeUsage({ message: "--token goes with --url." })
    }
    const url = URL.canParse(address) ? new URL(address) : undefined
    if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "") {
      const message = "The cluster's URL must be as http://127.0.0.1:8080/mcp, without user or password."
      return yield* new BridgeUsage({ message })
    }
    const token = given.token ?? (yield* inherited("CODEGEN_MCP_TOKEN"))
    if (token !== undefined && !/^[!-~]+$/.test(token)) {
      const message = "The token has characters that no token has: give it without spaces or quotes."
      return yield* new BridgeUsage({ message })
    }
    return { url, token: Option.map(Option.fromNullable(token), Redacted.make) }
  })

const inherited = (name: string) =>
  Effect.orElseSucceed(
    Effect.map(Config.option(Config.nonEmptyString(name)), Option.getOrUndefined),
    () => undefined,
  )
