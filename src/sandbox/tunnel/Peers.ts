/** Where the cluster's nodes and their engines listen, as each says itself in Postgres: no tunnel leads there. */
import { SqlClient, type SqlError } from "@effect/sql"
import { Context, Effect, Layer, Option } from "effect"
import { networkInterfaces } from "node:os"
import { isLoopback, isUnspecified } from "../../domain/Loopback.ts"
import { settings } from "../../Settings.ts"

/** A host by its name or address. */
export interface Listener {
  readonly host: string
  readonly port: number
}

export class Peers extends Context.Tag("codegen-mcp/sandbox/Peers")<
  Peers,
  {
    /** Of all nodes, this one among them, as far as they have not ended. */
    readonly listeners: Effect.Effect<ReadonlyArray<Listener>, SqlError.SqlError>
  }
>() {
  static readonly layer = Layer.effect(
    Peers,
    Effect.map(SqlClient.SqlClient, (sql) => ({
      listeners: Effect.map(
        sql<{ listens: string }>`SELECT DISTINCT unnest(listens) AS listens FROM node WHERE ended_at IS NULL`,
        (rows) => rows.map(({ listens }) => listenerOf(listens)),
      ),
    })),
  )

  /** A node that is alone. */
  static readonly layerNone = Layer.succeed(Peers, { listeners: Effect.succeed([]) })
}

/** What this node says of itself: its ports at each of its addresses and under the name that others know, and its engine. */
export const listening = Effect.gen(function* () {
  const ports = [yield* settings.httpPort.config, yield* settings.runnerPort.config]
  const hosts = [...ownAddresses(), yield* settings.runnerHost.config, yield* settings.httpHost.config]
  const engine = Option.toArray(
    Option.flatMap(yield* settings.dockerHost.config, (url) => placeOf(url, 2375)),
  )
  const all = [...hosts.flatMap((host) => ports.map((port) => ({ host, port }))), ...engine]
  return [
    ...new Set(all.filter(({ host }) => !isNear(host)).map(({ host, port }) => `${host} ${port}`)),
  ].slice(0, maxListeners)
})

/** Where a URL leads to, if that is a host. */
export const placeOf = (url: string, usualPort: number): Option.Option<Listener> => {
  const { hostname, port } = new URL(URL.canParse(url) ? url : "none:")
  return hostname === ""
    ? Option.none()
    : Option.some({ host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || usualPort) })
}

/** The addresses of this machine. */
export const ownAddresses = () =>
  Object.values(networkInterfaces()).flatMap((all = []) =>
    all.map(({ address }) => address.replace(/%.*/, "")),
  )

const listenerOf = (text: string): Listener => {
  const [host = "", port] = text.split(" ")
  return { host, port: Number(port) }
}

/** Others do not reach this node so. */
const isNear = (host: string) => isLoopback(host) || isUnspecified(host)

const maxListeners = 500
