/** The engine behind a way to it that a test can cut. */
import { Config, Context, Effect, Layer, Option } from "effect"
import * as TcpProxy from "./TcpProxy.ts"
import * as TestNode from "./TestNode.ts"

export class EngineProxy extends Context.Tag("codegen-mcp/test/EngineProxy")<
  EngineProxy,
  TcpProxy.TcpProxy & {
    /** Breaks all connections, and lets new ones through. */
    readonly break: Effect.Effect<void>
  }
>() {
  /** A node's sandboxes on the real engine, reached by the proxy. */
  static readonly layer = (settings: Readonly<Record<string, string>> = {}) =>
    Layer.unwrapScoped(
      Effect.gen(function* () {
        const usual = yield* Config.option(Config.string("DOCKER_HOST"))
        const proxy = yield* TcpProxy.make(
          targetOf(Option.getOrElse(usual, () => "unix:///var/run/docker.sock")),
        )
        // The engine's client reads its address from the environment, once.
        yield* setDockerHost(`tcp://127.0.0.1:${proxy.port}`)
        yield* Effect.addFinalizer(() => setDockerHost(Option.getOrUndefined(usual)))
        return Layer.merge(
          TestNode.engine(settings),
          Layer.succeed(EngineProxy, { ...proxy, break: Effect.zipRight(proxy.cut, proxy.restore) }),
        )
      }),
    )
}

/** Where this process, and those that it starts, look for the engine. */
export const setDockerHost = (host: string | undefined) =>
  Effect.sync(() => {
    if (host === undefined) delete process.env["DOCKER_HOST"]
    else process.env["DOCKER_HOST"] = host
  })

const targetOf = (address: string): TcpProxy.Target => {
  const url = new URL(address)
  return url.protocol === "unix:"
    ? { path: url.pathname }
    : { host: url.hostname, port: Number(url.port || 2375) }
}
