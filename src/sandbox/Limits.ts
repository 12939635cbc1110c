/** What every sandbox of this node is made of and bounded by, from the settings. */
import { Config, Context, Duration, Layer, Option } from "effect"
import { settings } from "../Settings.ts"

export class Limits extends Context.Tag("codegen-mcp/sandbox/Limits")<
  Limits,
  {
    readonly image: string
    readonly runtime: string | undefined
    /** In bytes, each. Programs may use `memory`; the three folders stand in memory beside it. */
    readonly memory: number
    readonly workspace: number
    readonly home: number
    readonly tmp: number
    readonly cpus: number
    readonly pids: number
    readonly openFiles: number
    readonly firstUid: number
    readonly sandboxes: number
    /** In milliseconds. */
    readonly commandTimeoutMs: number
    readonly maxCommandTimeoutMs: number
    /** In bytes, of stdout and stderr each. */
    readonly output: number
    readonly file: number
  }
>() {
  static readonly layer = Layer.effect(
    Limits,
    Config.all({
      image: settings.sandboxImage.config,
      runtime: Config.map(settings.sandboxRuntime.config, Option.getOrUndefined),
      memory: settings.sandboxMemory.config,
      workspace: settings.sandboxWorkspace.config,
      home: settings.sandboxHome.config,
      tmp: settings.sandboxTmp.config,
      cpus: settings.sandboxCpus.config,
      pids: settings.sandboxPids.config,
      openFiles: settings.sandboxOpenFiles.config,
      firstUid: settings.sandboxFirstUid.config,
      sandboxes: settings.maxSandboxes.config,
      commandTimeoutMs: Config.map(settings.commandTimeout.config, Duration.toMillis),
      maxCommandTimeoutMs: Config.map(settings.maxCommandTimeout.config, Duration.toMillis),
      output: settings.outputLimit.config,
      file: settings.maxFile.config,
    }),
  )
}
