/** The kinds of sandbox that this node offers: `default`, made of the SANDBOX_ settings, and those of TEMPLATES. */
import { Config, ConfigError, Context, Effect, Either, Layer, Option, Schema } from "effect"
import { NetworkPolicy } from "../domain/Network.ts"
import { UnknownTemplate } from "../domain/SessionError.ts"
import { settings } from "../Settings.ts"

const Bytes = Schema.Int.pipe(Schema.positive())

/** Not `default`, which the other settings make. */
const Name = Schema.String.pipe(Schema.pattern(/^(?!default$)[a-z0-9][a-z0-9_-]{0,31}$/))

/** A folder of the engine's machine that the operator gives to sandboxes. */
const Mount = Schema.Struct({
  source: Schema.String.pipe(Schema.startsWith("/")),
  target: Schema.String.pipe(Schema.startsWith("/")),
  read_only: Schema.optionalWith(Schema.Boolean, { default: () => true }),
})

/** What a template of TEMPLATES may say; what it leaves out is as in `default`. Sizes are in bytes. */
const Overrides = Schema.Struct({
  image: Schema.optional(Schema.NonEmptyString),
  runtime: Schema.optional(Schema.NonEmptyString),
  medium: Schema.optional(Schema.Literal("memory", "disk")),
  memory: Schema.optional(Bytes),
  workspace: Schema.optional(Bytes),
  home: Schema.optional(Bytes),
  tmp: Schema.optional(Bytes),
  cpus: Schema.optional(Schema.Number.pipe(Schema.positive())),
  pids: Schema.optional(Schema.Int.pipe(Schema.greaterThanOrEqualTo(16))),
  open_files: Schema.optional(Schema.Int.pipe(Schema.greaterThanOrEqualTo(64))),
  env: Schema.optional(
    Schema.Record({
      key: Schema.String.pipe(Schema.pattern(/^[A-Za-z_][A-Za-z0-9_]*$/)),
      value: Schema.String,
    }),
  ),
  mounts: Schema.optional(Schema.Array(Mount)),
  network: Schema.optional(NetworkPolicy),
  pool_min: Schema.optional(Schema.NonNegativeInt),
  pool_max: Schema.optional(Schema.NonNegativeInt),
})

const Configured = Schema.parseJson(Schema.Record({ key: Name, value: Overrides }))

export interface Template {
  readonly name: string
  readonly image: string
  /** A container runtime's name; the engine's default otherwise. */
  readonly runtime: string | undefined
  /** What /workspace and /home/agent stand on. */
  readonly medium: "memory" | "disk"
  /** In bytes, each. Programs may use `memory`; folders in memory stand beside it. */
  readonly memory: number
  readonly workspace: number
  readonly home: number
  readonly tmp: number
  readonly cpus: number
  readonly pids: number
  readonly openFiles: number
  readonly env: Readonly<Record<string, string>>
  readonly mounts: ReadonlyArray<typeof Mount.Type>
  /** What its sessions may reach outside, unless their callers choose. */
  readonly network: NetworkPolicy
  readonly pool: { readonly least: number; readonly most: number }
}

/** Size of /dev/shm, in bytes. */
export const shm = 16 * 1024 * 1024

/** What the container is charged for at most: its programs, and all that stands in memory beside them. */
export const totalMemory = ({ medium, memory, workspace, home, tmp }: Template) =>
  memory + (medium === "memory" ? workspace + home : 0) + tmp + shm

export const defaultTemplate = "default"

/** What an operator sets to change one of a template's fields. */
export const settingOf = (
  { name }: Template,
  field: "image" | "runtime" | "memory" | "pids" | "workspace" | "home" | "tmp",
) => (name === defaultTemplate ? `SANDBOX_${field.toUpperCase()}` : `\`${field}\` of ${name} in TEMPLATES`)

export class Templates extends Context.Tag("codegen-mcp/sandbox/Templates")<
  Templates,
  {
    readonly all: ReadonlyArray<Template>
    readonly standard: Template
    readonly find: (name: string) => Effect.Effect<Template, UnknownTemplate>
  }
>() {
  static readonly layer = Layer.effect(
    Templates,
    Effect.gen(function* () {
      const standard = yield* Config.all({
        name: Config.succeed(defaultTemplate),
        image: settings.sandboxImage.config,
        runtime: Config.map(settings.sandboxRuntime.config, Option.getOrUndefined),
        medium: settings.sandboxMedium.config,
        memory: settings.sandboxMemory.config,
        workspace: settings.sandboxWorkspace.config,
        home: settings.sandboxHome.config,
        tmp: settings.sandboxTmp.config,
        cpus: settings.sandboxCpus.config,
        pids: settings.sandboxPids.config,
        openFiles: settings.sandboxOpenFiles.config,
        env: Config.succeed({}),
        mounts: Config.succeed([]),
        network: settings.networkPolicy.config,
        pool: Config.map(
          Config.all({ least: settings.poolMin.config, most: settings.poolMax.config }),
          ({ least, most }) => ({ least, most: Math.max(least, most) }),
        ),
      })
      const configured = yield* Effect.flatMap(settings.templates.config, (text) =>
        Either.mapLeft(Schema.decodeEither(Configured, { onExcessProperty: "error" })(text), (error) =>
          ConfigError.InvalidData([settings.templates.name], error.message),
        ),
      )
      const all: ReadonlyArray<Template> = [
        standard,
        ...Object.entries(configured).map(([name, { open_files, pool_min, pool_max, ...own }]) => ({
          ...standard,
          ...defined(own),
          name,
          openFiles: open_files ?? standard.openFiles,
          pool: { least: pool_min ?? 0, most: Math.max(pool_min ?? 0, pool_max ?? standard.pool.most) },
        })),
      ]
      return {
        all,
        standard,
        find: (name) => {
          const found = all.find((template) => template.name === name)
          return found === undefined
            ? Effect.fail(new UnknownTemplate({ template: name, known: all.map(({ name }) => name) }))
            : Effect.succeed(found)
        },
      }
    }),
  )
}

/** Without the fields that are not given. */
const defined = <A extends object>(fields: A) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    readonly [K in keyof A]?: Exclude<A[K], undefined>
  }
