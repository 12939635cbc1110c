/**
 * The image that the sandbox image is built on: `debian:bookworm-slim`, or, where no registry has it for this
 * machine, the same made from Debian packages. Behind a proxy that inspects TLS, its certificates are added.
 */
import { Effect, Option } from "effect"
import { createReadStream, mkdirSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import * as Debian from "./Debian.ts"
import type { Engine } from "./Engine.ts"
import { call, type EngineFailure, follow } from "./EngineStream.ts"
import * as Project from "../process/Project.ts"
import { step } from "../process/Progress.ts"
import { StartError } from "../process/StartError.ts"

export const published = "debian:bookworm-slim"

/** Gives the name of a base that the engine has. */
export const acquire = (
  engine: Engine,
  options: { readonly install: boolean },
): Effect.Effect<string, StartError> =>
  Effect.gen(function* () {
    for (const name of [published, own]) if (yield* exists(engine, name)) return name
    const refusal = yield* pull(engine).pipe(
      Effect.as(Option.none<string>()),
      Effect.catchAll(({ reason }) => Effect.succeedSome(reason)),
    )
    if (Option.isNone(refusal)) return published
    yield* step(
      `${published} cannot be pulled (${refusal.value}); making the same from Debian packages with mmdebstrap …`,
    )
    yield* bootstrap(engine, options)
    return own
  })

/** The base with `bundle`, a file of certificates in PEM, among the trusted ones. */
export const withCertificates = (engine: Engine, base: string, bundle: string, folder: string) =>
  Effect.gen(function* () {
    writeFileSync(join(folder, "ca.crt"), bundle)
    const name = `${own}-ca`
    yield* follow(engine.docker, () =>
      engine.docker.buildImage(
        { context: folder, src: ["Dockerfile.ca", "ca.crt"] },
        { t: name, dockerfile: "Dockerfile.ca", buildargs: { BASE: base }, rm: true, forcerm: true },
      ),
    )
    return name
  })

/** Whether the engine has an image of that name. */
export const exists = ({ docker }: Engine, name: string): Effect.Effect<boolean> =>
  Effect.match(
    call(() => docker.getImage(name).inspect()),
    { onFailure: () => false, onSuccess: () => true },
  )

const pull = ({ docker }: Engine): Effect.Effect<void, EngineFailure> =>
  Effect.zipRight(
    step(`Pulling ${published} …`),
    follow(docker, () => docker.pull(published)),
  )

const bootstrap = (engine: Engine, { install }: { readonly install: boolean }) =>
  Effect.gen(function* () {
    const archive = join(Project.generated, "image", `base-${process.pid}.tar`)
    yield* Effect.sync(() => mkdirSync(dirname(archive), { recursive: true }))
    yield* Debian.make(
      {
        release: "bookworm",
        architecture: engine.architecture,
        target: archive,
        without: ["doc", "man", "info", "locale", "lintian"].map((name) => `/usr/share/${name}/*`),
      },
      { install, because: "the base image cannot be pulled and is made by mmdebstrap" },
    ).pipe(
      Effect.zipRight(importArchive(engine, archive)),
      Effect.ensuring(Effect.sync(() => rmSync(archive, { force: true }))),
    )
  })

const importArchive = ({ docker }: Engine, archive: string) => {
  const [repo = "", tag = ""] = own.split(":")
  return follow(docker, () => docker.importImage(createReadStream(archive), { repo, tag })).pipe(
    Effect.mapError(
      ({ reason }) =>
        new StartError({
          problem: `The engine refused the base image: ${reason}.`,
          remedy: "Check its free disk space.",
        }),
    ),
  )
}

const own = "codegen-mcp-base:bookworm"
