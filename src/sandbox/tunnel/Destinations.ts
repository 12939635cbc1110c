/** Where tunnels may lead: which addresses are dialled for a name, and which never. */
import { ConfigError, Context, Effect, Layer, Option, Redacted, Schedule } from "effect"
import type { BlockList } from "node:net"
import { networkInterfaces } from "node:os"
import { settings } from "../../Settings.ts"
import { isIn, kindOf, subnets } from "./Addresses.ts"
import { Outside } from "./Outside.ts"

export class Destinations extends Context.Tag("codegen-mcp/sandbox/Destinations")<
  Destinations,
  Outside["Type"] & {
    /** Why an address is not dialled; undefined where it may be. */
    readonly refusal: (address: string, port: number) => string | undefined
  }
>() {
  static readonly layer = Layer.scoped(
    Destinations,
    Effect.gen(function* () {
      const outside = yield* Outside
      const exceptions = subnets(yield* settings.tunnelAllowCidrs.config)
      if (exceptions === undefined) {
        return yield* Effect.fail(
          ConfigError.InvalidData(
            [settings.tunnelAllowCidrs.name],
            "must be subnets such as 10.1.0.0/16, separated by commas",
          ),
        )
      }
      const database = yield* Effect.option(settings.databaseUrl.config)
      const engine = yield* settings.dockerHost.config
      const services = [
        { what: "this cluster's Postgres", url: Option.map(database, Redacted.value), usual: 5432 },
        { what: "this node's Docker engine", url: engine, usual: 2375 },
      ].flatMap(({ what, url, usual }) => {
        const parsed = Option.getOrUndefined(Option.filter(url, URL.canParse))
        const { hostname, port } = new URL(parsed ?? "none:")
        return hostname === ""
          ? []
          : [{ what, host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || usual) }]
      })
      const ports = [yield* settings.httpPort.config, yield* settings.runnerPort.config]
      let guarded: ReadonlyArray<Guarded> = []
      // They may move while the node runs; one that cannot be found now is where it was.
      const look = Effect.forEach(services, ({ what, host, port }, index) =>
        Effect.tryPromise(() => outside.resolve(host, services)).pipe(
          Effect.map((addresses): Guarded => ({ what, port, list: subnets(addresses) ?? none })),
          Effect.orElseSucceed((): Guarded => guarded[index] ?? { what, port, list: none }),
        ),
      ).pipe(Effect.tap((found) => Effect.sync(() => (guarded = found))))
      yield* look
      yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced("1 minute")))
      return {
        ...outside,
        refusal: refusalOf({ exceptions, ports, own: ownAddresses, services: () => guarded }),
      }
    }),
  )
}

interface Guarded {
  readonly what: string
  readonly list: BlockList
  readonly port: number
}

const none = subnets([])!

/** Exceptions open addresses, and never what the node and its cluster themselves listen on. */
export const refusalOf =
  ({
    exceptions,
    ports,
    own,
    services,
  }: {
    readonly exceptions: BlockList
    readonly ports: ReadonlyArray<number>
    readonly own: () => BlockList
    readonly services: () => ReadonlyArray<Guarded>
  }) =>
  (address: string, port: number): string | undefined => {
    const kind = kindOf(address)
    const isOwn = kind === "loopback" || isIn(own(), address)
    if (isOwn && ports.includes(port)) return "this node itself"
    // Several may stand at one address.
    const here = services().filter(({ list }) => isIn(list, address))
    const exact = here.find((service) => service.port === port)
    if (exact !== undefined) return exact.what
    if (isIn(exceptions, address)) return undefined
    return kind ?? (isOwn ? "this node itself" : here[0]?.what)
  }

const ownAddresses = () =>
  subnets(
    Object.values(networkInterfaces()).flatMap((all = []) =>
      all.map(({ address }) => address.replace(/%.*/, "")),
    ),
  ) ?? none
