/** What bounds the sandboxes of this node together, and the commands in each, from the settings. */
import { Config, Context, Duration, Effect, Layer, Option } from "effect"
import { settings } from "../Settings.ts"
import { Docker } from "./Docker.ts"

export class Limits extends Context.Tag("codegen-mcp/sandbox/Limits")<
  Limits,
  {
    readonly firstUid: number
    readonly sandboxes: number
    /** In bytes: what the memory limits of all sandboxes may add up to. */
    readonly totalMemory: number
    /** In milliseconds. */
    readonly commandTimeoutMs: number
    readonly maxCommandTimeoutMs: number
    /** In bytes, of stdout and stderr each. */
    readonly output: number
    /** In bytes, of both together. */
    readonly totalOutput: number
    /** In bytes, of the files that keep a sandbox's long outputs. */
    readonly spill: number
    readonly file: number
  }
>() {
  static readonly layer = Layer.effect(
    Limits,
    Effect.gen(function* () {
      const docker = yield* Docker
      return yield* Config.all({
        firstUid: settings.sandboxFirstUid.config,
        sandboxes: settings.maxSandboxes.config,
        totalMemory: Config.map(
          settings.maxMemory.config,
          Option.getOrElse(() => 2 * docker.memory),
        ),
        commandTimeoutMs: Config.map(settings.commandTimeout.config, Duration.toMillis),
        maxCommandTimeoutMs: Config.map(settings.maxCommandTimeout.config, Duration.toMillis),
        output: settings.outputLimit.config,
        totalOutput: settings.commandOutput.config,
        spill: settings.spill.config,
        file: settings.maxFile.config,
      })
    }),
  )
}
