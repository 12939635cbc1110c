/** Where tunnels may lead: which addresses are dialled for a name, and which never. */
import { ConfigError, Context, Effect, Layer, Option, Redacted, Schedule } from "effect"
import { type BlockList, isIP } from "node:net"
import { timeLimit } from "../../domain/TimeLimit.ts"
import { settings } from "../../Settings.ts"
import { isIn, isSame, kindOf, subnets } from "./Addresses.ts"
import { Outside } from "./Outside.ts"
import { type Listener, ownAddresses, Peers, placeOf } from "./Peers.ts"

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
      const database = Option.map(yield* Effect.option(settings.databaseUrl.config), Redacted.value)
      const engine = yield* settings.dockerHost.config
      const services = [
        { what: "this cluster's Postgres", at: Option.flatMap(database, (url) => placeOf(url, 5432)) },
        { what: "this node's Docker engine", at: Option.flatMap(engine, (url) => placeOf(url, 2375)) },
      ].flatMap(({ what, at }) => Option.toArray(at).map((place) => ({ what, ...place })))
      const ports = [yield* settings.httpPort.config, yield* settings.runnerPort.config]
      const peers = yield* Peers
      const addressesOf = (host: string) =>
        isIP(host) === 0 ? outside.resolve(host, services) : Promise.resolve([host])
      let others: ReadonlyArray<Listener> = []
      let guarded: ReadonlyArray<Guarded> = []
      // They may move while the node runs; one that cannot be found now is where it was.
      const look = Effect.gen(function* () {
        others = yield* Effect.orElseSucceed(
          timeLimit("5 seconds", () => undefined)(peers.listeners),
          () => others,
        )
        const all = [...services, ...others.map((place) => ({ what: "a node of this cluster", ...place }))]
        guarded = yield* Effect.forEach(all, ({ what, host, port }) =>
          Effect.tryPromise(() => addressesOf(host)).pipe(
            Effect.map((addresses) => ({ what, host, port, addresses })),
            Effect.orElseSucceed(() => {
              const before = guarded.find((one) => one.host === host && one.port === port)
              return before ?? { what, host, port, addresses: [] }
            }),
          ),
        )
      })
      yield* look
      yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced("10 seconds")))
      return {
        ...outside,
        refusal: refusalOf({ exceptions, ports, own: ownAddresses, services: () => guarded }),
      }
    }),
  )
}

/** What listens at some addresses, under a name or none. */
interface Guarded extends Listener {
  readonly what: string
  readonly addresses: ReadonlyArray<string>
}

/**
 * Exceptions open addresses, and never what the nodes of the cluster and their services listen on. What is at one address
 * of this machine is taken to be at all of them.
 */
export const refusalOf = ({
  exceptions,
  ports,
  own,
  services,
}: {
  readonly exceptions: BlockList
  readonly ports: ReadonlyArray<number>
  readonly own: () => ReadonlyArray<string>
  readonly services: () => ReadonlyArray<Pick<Guarded, "what" | "port" | "addresses">>
}) => {
  const isOwn = (address: string) =>
    kindOf(address) === "loopback" || own().some((one) => isSame(one, address))
  return (address: string, port: number): string | undefined => {
    const kind = kindOf(address)
    const isHere = isOwn(address)
    if (isHere && ports.includes(port)) return "this node itself"
    const isAt = ({ addresses }: Pick<Guarded, "addresses">) =>
      addresses.some((one) => isSame(one, address) || (isHere && isOwn(one)))
    // Several may stand at one address.
    const exact = services().find((service) => service.port === port && isAt(service))
    if (exact !== undefined) return exact.what
    if (isIn(exceptions, address)) return undefined
    return kind ?? (isHere ? "this node itself" : services().find(isAt)?.what)
  }
}
