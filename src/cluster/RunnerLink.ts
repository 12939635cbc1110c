/**
 * How nodes reach each other: `NodeClusterSocket.layer` of @effect/platform-node put together again with
 * TCP_NODELAY on both ends, which the original leaves off (a remote call would wait for Nagle's timer).
 * The link has neither authentication nor encryption, so a port off loopback is refused at start.
 */
import { RunnerHealth, Runners, ShardingConfig, SocketRunner } from "@effect/cluster"
import { Socket } from "@effect/platform"
import { NodeSocket, NodeSocketServer } from "@effect/platform-node"
import { RpcClient, RpcSerialization } from "@effect/rpc"
import { Effect, Layer, Option } from "effect"
import { settings } from "../Settings.ts"

const clientProtocol = Layer.effect(
  Runners.RpcClientProtocol,
  Effect.gen(function* () {
    const serialization = yield* RpcSerialization.RpcSerialization
    return Effect.fnUntraced(function* (address) {
      const socket = yield* NodeSocket.makeNet({
        host: address.host,
        port: address.port,
        openTimeout: "1 second",
        timeout: 5500,
        noDelay: true,
      })
      return yield* RpcClient.makeProtocolSocket().pipe(
        Effect.provideService(Socket.Socket, socket),
        Effect.provideService(RpcSerialization.RpcSerialization, serialization),
      )
    }, Effect.orDie)
  }),
)

const socketServer = Layer.unwrapEffect(
  Effect.map(ShardingConfig.ShardingConfig, (config) => {
    const { host, port } = Option.getOrThrow(config.runnerAddress)
    return NodeSocketServer.layer({ host, port, noDelay: true })
  }),
)

// A message past the bound ends the link for every session between two nodes, so no request may come near it.
const serialization = Layer.unwrapEffect(
  Effect.map(settings.maxBody.config, (maxBody) =>
    RpcSerialization.layerMsgPackWith({ maxBufferSize: 2 * maxBody + 1024 * 1024 }),
  ),
)

/** The runner and its clients. Needs the cluster's storages and configuration. */
export const layer = SocketRunner.layer.pipe(
  Layer.provide([socketServer, clientProtocol]),
  Layer.provide(RunnerHealth.layerPing.pipe(Layer.provide(Runners.layerRpc), Layer.provide(clientProtocol))),
  Layer.provide(serialization),
)
