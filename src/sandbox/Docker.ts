/** This node's Docker engine: the only module that imports dockerode. */
import { Context, Effect, Layer, Schema } from "effect"
import Dockerode from "dockerode"
import { SandboxError } from "../domain/SandboxError.ts"
import { timeLimit } from "../domain/TimeLimit.ts"
import { settings } from "../Settings.ts"
import { settingOf, Templates } from "./Templates.ts"

/** The engine could not be used at start; the message says what to do. */
export class EngineUnusable extends Schema.TaggedError<EngineUnusable>()("EngineUnusable", {
  problem: Schema.String,
  remedy: Schema.String,
}) {
  override get message() {
    return `${this.problem} ${this.remedy}`
  }
}

export class Docker extends Context.Tag("codegen-mcp/sandbox/Docker")<
  Docker,
  {
    /** The engine's own id. Nodes on one engine share it. */
    readonly engine: string
    /** Names the contents of the agent image. */
    readonly agent: string
    /** Of the engine's machine, in bytes. */
    readonly memory: number
    /** Whether a runtime, or the default one, is gVisor, by its program's name or its own. */
    readonly isGvisor: (runtime: string | undefined) => boolean
    /** Calls the engine, for 30 s at most; a rejection becomes a `SandboxError` naming the operation. */
    readonly use: <A>(
      operation: SandboxError["operation"],
      call: (docker: Dockerode) => Promise<A>,
    ) => Effect.Effect<A, SandboxError>
  }
>() {
  /** Fails where there is no engine, no permission, or a template's image or runtime is missing. */
  static readonly layer = Layer.effect(
    Docker,
    Effect.gen(function* () {
      const templates = yield* Templates
      const docker = new Dockerode()
      const use = <A>(operation: SandboxError["operation"], call: (docker: Dockerode) => Promise<A>) =>
        Effect.tryPromise({
          try: () => call(docker),
          catch: (cause) => new SandboxError({ operation, cause }),
        }).pipe(
          timeLimit(
            "30 seconds",
            () => new SandboxError({ operation, cause: "the engine did not answer within 30 s" }),
          ),
        )
      const info = yield* use("ping", (docker) => docker.info() as Promise<typeof EngineInfo.Type>).pipe(
        Effect.flatMap(Schema.decodeUnknown(EngineInfo)),
        Effect.mapError(unusable),
      )
      const inspect = (image: string, setting: string) =>
        use("inspect", (docker) => docker.getImage(image).inspect()).pipe(
          Effect.mapError((error) =>
            statusOf(error) === 404
              ? new EngineUnusable({
                  problem: `The image ${image} is not on this Docker engine.`,
                  remedy: `Build it with ./scripts/start, or name another one in ${setting}.`,
                })
              : unusable(error),
          ),
        )
      for (const template of templates.all) {
        const { image, runtime } = template
        if (runtime !== undefined && !(runtime in info.Runtimes)) {
          return yield* new EngineUnusable({
            problem: `The Docker engine has no runtime ${runtime} (${settingOf(template, "runtime")}).`,
            remedy: `It has: ${Object.keys(info.Runtimes).join(", ")}.`,
          })
        }
        yield* inspect(image, settingOf(template, "image"))
      }
      const agent = yield* inspect(yield* settings.agentImage.config, settings.agentImage.name)
      return {
        engine: info.ID,
        agent: agent.Id.replace("sha256:", "").slice(0, 12),
        memory: info.MemTotal,
        isGvisor: (runtime = info.DefaultRuntime) => {
          const known = info.Runtimes[runtime]
          return [runtime, known?.path, known?.runtimeType].some((name) => name?.includes("runsc") === true)
        },
        use,
      }
    }),
  ).pipe(Layer.provide(Templates.layer))
}

/** The engine's HTTP status where it answered with one. */
export const statusOf = (error: SandboxError) =>
  error.cause instanceof Error && "statusCode" in error.cause && typeof error.cause.statusCode === "number"
    ? error.cause.statusCode
    : undefined

const EngineInfo = Schema.Struct({
  ID: Schema.String,
  MemTotal: Schema.Number,
  DefaultRuntime: Schema.String,
  Runtimes: Schema.Record({
    key: Schema.String,
    value: Schema.Struct({
      path: Schema.optional(Schema.String),
      runtimeType: Schema.optional(Schema.String),
    }),
  }),
})

const unusable = (error: { readonly message: string; readonly cause?: unknown }) => {
  const code = error.cause instanceof Error && "code" in error.cause ? error.cause.code : undefined
  if (code === "EACCES") {
    return new EngineUnusable({
      problem: "This user may not use the Docker engine's socket.",
      remedy: "Add the user to the group `docker` and log in again, or run as root.",
    })
  }
  return new EngineUnusable({
    problem: `No Docker engine answers${typeof code === "string" ? ` (${code})` : `: ${error.message}`}.`,
    remedy: "Start one, or name its address in DOCKER_HOST; ./scripts/start sets one up.",
  })
}
