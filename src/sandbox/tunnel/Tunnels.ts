/** The ways out of this node's sandboxes. */
import { Context, Effect, Layer, Option, type Scope } from "effect"
import { readFile } from "node:fs/promises"
import { rootCertificates } from "node:tls"
import { settings } from "../../Settings.ts"
import type { AgentLink } from "../AgentLink.ts"
import type { Tenure } from "../Tenure.ts"
import { Destinations } from "./Destinations.ts"
import { Outside } from "./Outside.ts"
import * as Tunnel from "./Tunnel.ts"

export class Tunnels extends Context.Tag("codegen-mcp/sandbox/Tunnels")<
  Tunnels,
  {
    /** The way out of one sandbox, which leads nowhere at first. */
    readonly open: (
      link: Pick<AgentLink, "ask" | "container" | "open">,
      tenure: Tenure,
    ) => Effect.Effect<Tunnel.Tunnel, never, Scope.Scope>
  }
>() {
  static readonly layerOutside = Layer.effect(
    Tunnels,
    Effect.gen(function* () {
      const destinations = yield* Destinations
      const certificates = yield* trusted
      return {
        open: (link, { isHeld, onChange }) =>
          Tunnel.make(link, { destinations, certificates, isHeld, onChange }),
      }
    }),
  ).pipe(Layer.provide(Destinations.layer))

  static readonly layer = Tunnels.layerOutside.pipe(Layer.provide(Outside.layer))
}

/** Where this machine trusts more authorities than the usual ones, those and these, in PEM. */
const trusted = Effect.gen(function* () {
  const files = [yield* settings.extraCertificates.config, yield* settings.certificates.config]
  const bundles = yield* Effect.forEach([...new Set(files.flatMap(Option.toArray))], (file) =>
    Effect.tryPromise(() => readFile(file, "utf8")).pipe(
      Effect.catchAll(({ error }) =>
        Effect.as(Effect.logWarning(`the certificates in ${file} cannot be read`, error), ""),
      ),
    ),
  )
  const text = bundles.join("\n")
  if (!text.includes("BEGIN CERTIFICATE")) return undefined
  return [...new Set([...rootCertificates, ...certificatesIn(text)])].join("\n")
})

const certificatesIn = (pem: string) =>
  (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).slice(0, maxCertificates)

/** Several times as many as the usual bundles hold, and still less than a message to an agent. */
const maxCertificates = 1000
