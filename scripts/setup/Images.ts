/**
 * The sandbox image, built where the engine lacks it. Its tag is a hash of everything it is made from, so that a
 * second start builds nothing and a changed Dockerfile builds anew.
 */
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import * as BaseImage from "./BaseImage.ts"
import type { Engine } from "./Engine.ts"
import { follow } from "./EngineStream.ts"
import { run } from "../process/Command.ts"
import * as ProcessLock from "../process/ProcessLock.ts"
import * as Project from "../process/Project.ts"
import { step } from "../process/Progress.ts"
import { StartError } from "../process/StartError.ts"

/** Gives the name of the sandbox image, which the engine then has. */
export const sandbox = (
  engine: Engine,
  options: { readonly install: boolean },
): Effect.Effect<string, StartError> =>
  Effect.gen(function* () {
    const name = `codegen-mcp-sandbox:${fingerprint(engine)}`
    if (yield* BaseImage.exists(engine, name)) return name
    yield* Effect.sync(() => mkdirSync(stage, { recursive: true }))
    yield* ProcessLock.waitFor(stage)
    if (yield* BaseImage.exists(engine, name)) return name
    yield* step("Building the sandbox image; this takes a few minutes, once …")
    const base = yield* BaseImage.acquire(engine, options)
    yield* prepare(engine)
    yield* build(engine, name, base)
    return name
  }).pipe(Effect.scoped)

const prepare = ({ architecture }: Engine) =>
  Effect.gen(function* () {
    yield* Effect.sync(() => {
      rmSync(stage, { recursive: true, force: true })
      mkdirSync(stage, { recursive: true })
      for (const file of files) cpSync(join(source, file), join(stage, file))
    })
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

const build = (engine: Engine, name: string, base: string) =>
  Effect.gen(function* () {
    const bundle = certificates()
    const from = bundle === "" ? base : yield* BaseImage.withCertificates(engine, base, bundle, stage)
    yield* follow(engine.docker, () =>
      engine.docker.buildImage(
        { context: stage, src: ["Dockerfile", "node_modules"] },
        { t: name, buildargs: { BASE: from, ...proxies() }, rm: true, forcerm: true },
      ),
    )
  }).pipe(
    Effect.catchTag("EngineFailure", ({ reason }) =>
      Effect.fail(
        new StartError({
          problem: `The sandbox image could not be built: ${reason}.`,
          remedy: "Check that containers on this engine reach Debian's packages, and its free disk space.",
        }),
      ),
    ),
  )

const fingerprint = ({ architecture }: Engine) => {
  const hash = createHash("sha256").update(`${BaseImage.published} ${architecture}\0`)
  for (const file of files)
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(source, file)))
      .update("\0")
  return hash.update(certificates()).digest("hex").slice(0, 12)
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

const source = join(Project.root, "docker/sandbox")

const files = ["Dockerfile", "Dockerfile.ca", "package.json", "package-lock.json"]

const stage = join(Project.generated, "image/sandbox")
