/**
 * How nodes reach each other: `NodeClusterSocket.layer` of @effect/platform-node put together again with sockets of
 * our own, because the original has neither authentication nor encryption, and leaves Nagle's delay on.
 */
import {
  MessageStorage,
  RunnerHealth,
  Runners,
  RunnerStorage,
  ShardingConfig,
  SocketRunner,
} from "@effect/cluster"
import { Socket, SocketServer } from "@effect/platform"
import { RpcClient, RpcSerialization } from "@effect/rpc"
import { Effect, Layer, Option } from "effect"
import { withOnly } from "../domain/Narrowed.ts"
import { settings } from "../Settings.ts"
import { linkKeys } from "./LinkKeys.ts"
import { dial, listen } from "./RunnerSocket.ts"

const clientProtocol = Layer.effect(
  Runners.RpcClientProtocol,
  Effect.gen(function* () {
    const serialization = yield* RpcSerialization.RpcSerialization
    const [key] = yield* linkKeys
    return Effect.fnUntraced(function* (address) {
      const socket = yield* dial(address, key)
      return yield* RpcClient.makeProtocolSocket().pipe(
        Effect.provideService(Socket.Socket, socket),
        Effect.provideService(RpcSerialization.RpcSerialization, serialization),
      )
    }, Effect.orDie)
  }),
)

const socketServer = Layer.scoped(
  SocketServer.SocketServer,
  Effect.gen(function* () {
    const { runnerAddress } = yield* ShardingConfig.ShardingConfig
    return yield* listen(Option.getOrThrow(runnerAddress), yield* linkKeys)
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
  // It asks by the same clients, and drops one that does not answer.
  Layer.provide(RunnerHealth.layerPing.pipe(Layer.provide(Runners.layerRpc))),
  withOnly(
    MessageStorage.MessageStorage,
    RpcSerialization.RpcSerialization,
    RunnerStorage.RunnerStorage,
    Runners.RpcClientProtocol,
    ShardingConfig.ShardingConfig,
    SocketServer.SocketServer,
  ),
  Layer.provide([socketServer, clientProtocol]),
  Layer.provide(serialization),
)
