/**
 * A name of its own for the sandbox image during one run of the tests. What was started from that name belongs
 * to the run, so that its leftovers can be told from anybody else's containers, and removed.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import { isAlive } from "../process/Alive.ts"
import { step } from "../process/Progress.ts"
import type { Engine } from "./Engine.ts"
import { call, type EngineFailure } from "./EngineStream.ts"
import { StartError } from "../process/StartError.ts"

/** Names the image until the scope closes, which removes the containers of that name, and says how many there were. */
export const make = (engine: Engine, image: string): Effect.Effect<string, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    yield* Effect.ignore(sweep(engine, (pid) => !isAlive(pid)))
    const tag = String(process.pid)
    yield* Effect.acquireRelease(
      call(() => engine.docker.getImage(image).tag({ repo, tag })),
      () => Effect.ignore(sweep(engine, (pid) => pid === process.pid)),
    )
    return `${repo}:${tag}`
  }).pipe(
    Effect.catchTag("EngineFailure", ({ reason }) =>
      Effect.fail(
        new StartError({ problem: `The engine cannot name an image: ${reason}.`, remedy: "Restart it." }),
      ),
    ),
  )

/** Removes the containers and the names of the runs whose process `which` selects. */
const sweep = ({ docker }: Engine, which: (pid: number) => boolean): Effect.Effect<void, EngineFailure> =>
  Effect.gen(function* () {
    const isOurs = (name: string) => name.startsWith(`${repo}:`) && which(Number(name.slice(repo.length + 1)))
    const containers = (yield* call(() => docker.listContainers({ all: true }))).filter(({ Image }) =>
      isOurs(Image),
    )
    if (containers.length > 0)
      yield* step(`Removing ${containers.length} containers that tests left behind …`)
    for (const { Id } of containers) {
      yield* Effect.ignore(call(() => docker.getContainer(Id).remove({ force: true, v: true })))
    }
    const names = (yield* call(() => docker.listImages()))
      .flatMap((image) => image.RepoTags ?? [])
      .filter(isOurs)
    for (const name of names) yield* Effect.ignore(call(() => docker.getImage(name).remove()))
  })

const repo = "codegen-mcp-test"
