/**
 * The images, built where the engine lacks them. An image's tag is a hash of everything it is made from, so that a
 * second start builds nothing and a changed Dockerfile builds anew.
 */
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs"
import { basename, join } from "node:path"
import * as BaseImage from "./BaseImage.ts"
import type { Engine } from "./Engine.ts"
import { call, follow } from "./EngineStream.ts"
import { run } from "../process/Command.ts"
import * as ProcessLock from "../process/ProcessLock.ts"
import * as Project from "../process/Project.ts"
import { step } from "../process/Progress.ts"
import { StartError } from "../process/StartError.ts"

interface Recipe {
  readonly name: "sandbox" | "agent" | "bridge" | "runners"
  /** Of the project, each. */
  readonly files: ReadonlyArray<string>
  /** Whether its packages of npm are to stand beside them. */
  readonly npm: boolean
  /** What else the image depends on. */
  readonly madeOf: string
  /** The build's arguments, once the engine has what they name. */
  readonly args: (stage: string) => Effect.Effect<Record<string, string>, StartError>
}

/** Gives the name of the sandbox image, which the engine then has. */
export const sandbox = (engine: Engine, options: { readonly install: boolean }) =>
  acquire(engine, {
    name: "sandbox",
    files: ["Dockerfile", "Dockerfile.ca", "package.json", "package-lock.json"].map(
      (file) => `docker/sandbox/${file}`,
    ),
    npm: true,
    madeOf: `${BaseImage.published} ${certificates()}`,
    args: (stage) =>
      Effect.gen(function* () {
        const base = yield* BaseImage.acquire(engine, options)
        const bundle = certificates()
        if (bundle === "") return { BASE: base }
        return { BASE: yield* BaseImage.withCertificates(engine, base, bundle, stage) }
      }).pipe(Effect.catchTag("EngineFailure", unbuilt("sandbox"))),
  })

/** Gives the name of the image of this build's agent, which the engine then has. */
export const agent = (engine: Engine, sandboxImage: string) =>
  acquire(engine, {
    name: "agent",
    files: [
      ...["Dockerfile", "package.json", "package-lock.json"].map((file) => `docker/agent/${file}`),
      ".codegen/build/agent/agent.js",
    ],
    npm: true,
    madeOf: sandboxImage,
    args: () => Effect.succeed({ SANDBOX: sandboxImage }),
  })

/** Gives the name of the image of this build's bridge, which the engine then has. */
export const bridge = (engine: Engine, agentImage: string) =>
  acquire(engine, {
    name: "bridge",
    files: ["docker/bridge/Dockerfile", "docker/bridge/package.json", ".codegen/build/bridge/bridge.js"],
    npm: false,
    madeOf: agentImage,
    args: () => Effect.succeed({ AGENT: agentImage }),
  })

/** Gives the name of a sandbox image with more test runners, which the engine then has. */
export const runners = (engine: Engine, sandboxImage: string) =>
  acquire(engine, {
    name: "runners",
    files: ["Dockerfile", "package.json", "package-lock.json"].map((file) => `docker/runners/${file}`),
    npm: true,
    madeOf: sandboxImage,
    args: () => Effect.succeed({ SANDBOX: sandboxImage }),
  })

/** Gives an image of the engine one more name. */
export const named = (
  { docker }: Engine,
  image: string,
  name: Recipe["name"],
): Effect.Effect<void, StartError> =>
  Effect.asVoid(call(() => docker.getImage(image).tag({ repo: `codegen-mcp-${name}`, tag: "latest" }))).pipe(
    Effect.catchTag("EngineFailure", unbuilt(name)),
  )

/** Copies an image, by its name, to another engine. */
export const copy = (from: Engine, to: Engine, name: string): Effect.Effect<void, StartError> =>
  call(() => from.docker.getImage(name).get()).pipe(
    Effect.flatMap((archive) => follow(to.docker, () => to.docker.loadImage(archive, { quiet: true }))),
    Effect.catchTag("EngineFailure", ({ reason }) =>
      Effect.fail(
        new StartError({
          problem: `The image ${name} could not be copied to the other engine: ${reason}.`,
          remedy: "Check the free disk space.",
        }),
      ),
    ),
  )

const acquire = (engine: Engine, recipe: Recipe): Effect.Effect<string, StartError> =>
  Effect.gen(function* () {
    const name = `codegen-mcp-${recipe.name}:${fingerprint(engine, recipe)}`
    if (yield* BaseImage.exists(engine, name)) return name
    const stage = join(Project.generated, "image", recipe.name)
    yield* Effect.sync(() => mkdirSync(stage, { recursive: true }))
    yield* ProcessLock.waitFor(stage)
    if (yield* BaseImage.exists(engine, name)) return name
    yield* step(
      `Building the ${recipe.name} image${recipe.name === "sandbox" || recipe.name === "runners" ? "; this takes a few minutes, once" : ""} …`,
    )
    yield* prepare(engine, recipe, stage)
    yield* build(engine, recipe, name, stage, yield* recipe.args(stage))
    return name
  }).pipe(Effect.scoped)

const prepare = ({ architecture }: Engine, { files, npm }: Recipe, stage: string) =>
  Effect.gen(function* () {
    yield* Effect.sync(() => {
      rmSync(stage, { recursive: true, force: true })
      mkdirSync(stage, { recursive: true })
      for (const file of files) cpSync(join(Project.root, file), join(stage, basename(file)))
    })
    if (!npm) return
    yield* run({
      command: "npm",
      args: [
        "ci",
        "--os=linux",
        `--cpu=${architecture}`,
        "--ignore-scripts",
        "--no-bin-links",
        "--no-audit",
        "--no-fund",
      ],
      cwd: stage,
      log: Project.log("npm-ci"),
      remedy: "Check that this machine reaches its npm registry.",
    })
  })

const build = (engine: Engine, recipe: Recipe, name: string, stage: string, args: Record<string, string>) =>
  Effect.gen(function* () {
    const src = [...recipe.files.map((file) => basename(file)), ...(recipe.npm ? ["node_modules"] : [])]
    yield* follow(engine.docker, () =>
      engine.docker.buildImage(
        { context: stage, src },
        { t: name, buildargs: { ...args, ...proxies() }, rm: true, forcerm: true },
      ),
    )
    // What a build leaves of its first stage is of no use.
    yield* Effect.ignore(
      call(() =>
        engine.docker.pruneImages({
          filters: { dangling: ["true"], label: [`codegen-mcp.stage=${recipe.name}`] },
        }),
      ),
    )
  }).pipe(Effect.catchTag("EngineFailure", unbuilt(recipe.name)))

const unbuilt =
  (name: Recipe["name"]) =>
  ({ reason }: { readonly reason: string }) =>
    Effect.fail(
      new StartError({
        problem: `The ${name} image could not be built: ${reason}.`,
        remedy: "Check that containers on this engine reach Debian's packages, and its free disk space.",
      }),
    )

const fingerprint = ({ architecture }: Engine, { files, madeOf }: Recipe) => {
  const hash = createHash("sha256").update(`${architecture} ${madeOf}\0`)
  for (const file of files)
    hash
      .update(`${basename(file)}\0`)
      .update(readFileSync(join(Project.root, file)))
      .update("\0")
  return hash.digest("hex").slice(0, 12)
}

/** The certificates that this machine was told to trust besides its usual ones, in PEM; mostly none. */
const certificates = () => {
  const named = [process.env["NODE_EXTRA_CA_CERTS"], process.env["SSL_CERT_FILE"]]
  const bundles = named
    .filter((path) => path !== undefined && existsSync(path))
    .map((path) => readFileSync(path ?? "", "utf8"))
  return [...new Set(bundles)].join("\n")
}

const proxies = (): Record<string, string> =>
  Object.fromEntries(
    ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"].flatMap((name) => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value]]
    }),
  )
