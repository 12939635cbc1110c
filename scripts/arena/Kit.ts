/** A user's copy of docker/arena, and runs of it. */
import { Effect, Schema } from "effect"
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { delimiter, join } from "node:path"
import * as Child from "../process/Child.ts"
import * as Command from "../process/Command.ts"
import * as Project from "../process/Project.ts"
import type { StartError } from "../process/StartError.ts"

/** Of the configuration that a run is started with. */
type Way = "stdio" | "sse" | "docker"

export interface KitOptions {
  readonly folder: string
  readonly promptarena: string
  readonly mcpUrl: string
  readonly token: string
  readonly bridgeImage: string
}

export interface Outcome {
  /** Of promptarena. */
  readonly code: number | null
  readonly runs: ReadonlyArray<Run>
  readonly log: string
}

interface Run {
  /** Why it ended early; mostly empty. */
  readonly error: string
  /** Of its assertions about the turn and the conversation: whether each held. */
  readonly assertions: ReadonlyArray<boolean>
}

export interface Kit {
  /** Changes what the files of the kit say, as a user does. */
  readonly edit: (file: string, from: string, to: string) => Effect.Effect<void>
  readonly run: (way: Way, args?: ReadonlyArray<string>) => Effect.Effect<Outcome, StartError>
}

/** Copies the kit, and sets it up for a cluster. */
export const make = (options: KitOptions): Effect.Effect<Kit, StartError> =>
  Effect.gen(function* () {
    const { folder, promptarena } = options
    const bin = join(folder, "bin")
    const schemas = join(folder, "schemas/v1alpha1")
    yield* Effect.sync(() => {
      cpSync(join(Project.root, "docker/arena"), folder, { recursive: true })
      for (const made of [bin, schemas]) mkdirSync(made, { recursive: true })
      writeFileSync(
        join(bin, "codegen-mcp"),
        `#!/bin/sh\nexec "${process.execPath}" "${Project.built("main.js")}" "$@"\n`,
      )
      chmodSync(join(bin, "codegen-mcp"), 0o755)
    })
    const env = {
      ...process.env,
      PATH: `${bin}${delimiter}${process.env["PATH"] ?? ""}`,
      CODEGEN_MCP_URL: options.mcpUrl,
      CODEGEN_MCP_TOKEN: options.token,
      PROMPTKIT_SCHEMA_SOURCE: "local",
    }
    for (const type of ["arena", "scenario", "provider", "promptconfig"]) {
      const output = join(schemas, `${type}.json`)
      yield* Command.run({
        command: promptarena,
        args: ["schema", type],
        env,
        log: output,
        remedy: "Remove .codegen/promptarena-* and run this again.",
      })
    }
    const edit: Kit["edit"] = (file, from, to) =>
      Effect.suspend(() => {
        const text = readFileSync(join(folder, file), "utf8")
        if (!text.includes(from)) return Effect.dieMessage(`${file} does not say ${from}`)
        return Effect.sync(() => writeFileSync(join(folder, file), text.replaceAll(from, to)))
      })
    yield* edit("docker.arena.yaml", "http://172.17.0.1:8080/mcp", options.mcpUrl)
    yield* edit("docker.arena.yaml", "MCP_TOKEN: TOKEN", `MCP_TOKEN: ${options.token}`)
    yield* edit("docker.arena.yaml", "image: codegen-mcp-bridge", `image: ${options.bridgeImage}`)
    yield* edit("sse.arena.yaml", "http://127.0.0.1:8080", new URL(options.mcpUrl).origin)
    yield* edit("sse.arena.yaml", "Bearer TOKEN", `Bearer ${options.token}`)

    const run: Kit["run"] = (way, args = []) =>
      Effect.gen(function* () {
        const out = join(folder, "out", way)
        const log = join(folder, `${way}.log`)
        const child = yield* Child.start({
          command: promptarena,
          args: ["run", "--ci", "-c", `${way}.arena.yaml`, "--out", out, ...args],
          cwd: folder,
          env,
          output: log,
        })
        const { code } = yield* child.exited
        return { code, runs: yield* runsOf(out), log }
      }).pipe(Effect.scoped)
    return { edit, run }
  })

const runsOf = (folder: string) =>
  Effect.forEach(
    readdirSync(folder).filter((name) => /^\d{4}-.*\.json$/.test(name)),
    (name) => Effect.map(decode(readFileSync(join(folder, name), "utf8")), toRun),
  ).pipe(Effect.orDie)

const Results = Schema.Struct({ results: Schema.Array(Schema.Struct({ passed: Schema.Boolean })) })

const Report = Schema.Struct({
  Error: Schema.String,
  Messages: Schema.Array(
    Schema.Struct({ meta: Schema.optional(Schema.Struct({ assertions: Schema.optional(Results) })) }),
  ),
  conversation_assertions: Schema.optional(Results),
})

const decode = Schema.decode(Schema.parseJson(Report))

const toRun = (report: typeof Report.Type): Run => ({
  error: report.Error,
  assertions: [
    ...report.Messages.map(({ meta }) => meta?.assertions),
    report.conversation_assertions,
  ].flatMap((said) => said?.results.map(({ passed }) => passed) ?? []),
})
